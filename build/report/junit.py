"""A smoke test as JUnit XML, as GitLab and Jenkins read it. Pure."""

from typing import Final
from xml.etree import ElementTree as ET

from build.doors.markup import clean
from build.report.checks import CheckRow, Ended
from build.report.page import Page

__all__ = ["junit"]

_SHORT: Final = 200


def junit(page: Page) -> str:
    """Render the checks as one suite; a check that did not run is skipped, with its reason."""
    total = sum(row.seconds for row in page.checks)
    counts = {
        "tests": str(len(page.checks)),
        "failures": str(sum(row.ended is Ended.FAILED for row in page.checks)),
        "errors": "0",
        "skipped": str(sum(row.ended in {Ended.SKIPPED, Ended.NOT_RUN} for row in page.checks)),
        "time": f"{total:.3f}",
    }
    # The outer element has no `skipped` in the schema that Jenkins reads with.
    outer = {key: value for key, value in counts.items() if key != "skipped"}
    root = ET.Element("testsuites", {"name": "smoke", **outer})
    suite = ET.SubElement(
        root, "testsuite", {"name": clean(page.name), "timestamp": page.at.removesuffix("Z"), **counts}
    )
    properties = ET.SubElement(suite, "properties")
    for name, value in (("image", page.reference), ("digest", page.digest), *page.facts):
        ET.SubElement(properties, "property", {"name": name, "value": clean(value)})
    for row in sorted(page.checks, key=lambda row: row.name):
        _case(suite, page.name, row)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _case(suite: ET.Element, image: str, row: CheckRow) -> None:
    attributes = {"classname": f"smoke.{clean(image)}", "name": clean(row.name), "time": f"{row.seconds:.3f}"}
    case = ET.SubElement(suite, "testcase", attributes)
    match row.ended:
        case Ended.FAILED:
            text = clean("\n".join(row.findings))
            failure = ET.SubElement(case, "failure", {"message": _first_line(text), "type": "finding"})
            failure.text = f"{text}\n\nWithout this check: {clean(row.protects)}"
        case Ended.SKIPPED | Ended.NOT_RUN:
            ET.SubElement(case, "skipped", {"message": clean(row.reason)})
        case Ended.PASSED:
            if row.evidence:
                ET.SubElement(case, "system-out").text = clean(row.evidence)


def _first_line(text: str) -> str:
    line = text.partition("\n")[0]
    return line if len(line) <= _SHORT else line[: _SHORT - 2] + " …"
