from pathlib import Path

from tests.unit.smoke.samples import LABELS, findings


def test_a_missing_label_is_named(tmp_path: Path) -> None:
    labels = {name: value for name, value in LABELS.items() if name != "org.opencontainers.image.revision"}
    assert findings(tmp_path, "labels", config={"Labels": labels}) == [
        "the label org.opencontainers.image.revision is missing"
    ]


def test_the_usual_labels_are_needed_even_when_nobody_promised_them(tmp_path: Path) -> None:
    found = findings(tmp_path, "labels", config={"Labels": {"ingot.cuda": ""}}, labels=())
    assert found == [
        *(
            f"the label {name} is missing"
            for name in LABELS
            if name not in {"ingot.cuda", "ingot.architectures"}
        ),
        "the label ingot.cuda is empty",
        "the label ingot.architectures is missing",
    ]


def test_another_value_is_shown_with_the_right_one(tmp_path: Path) -> None:
    assert findings(tmp_path, "labels", config={"Labels": LABELS | {"ingot.cuda": "12.8"}}) == [
        "the label ingot.cuda is '12.8', expected is '13.0'"
    ]
