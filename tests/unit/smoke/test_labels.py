from pathlib import Path

from tests.unit.smoke.samples import LABELS, findings


def test_a_missing_label_is_named(tmp_path: Path) -> None:
    labels = {name: value for name, value in LABELS.items() if name != "org.opencontainers.image.revision"}
    assert findings(tmp_path, "labels", config={"Labels": labels}) == [
        "the label org.opencontainers.image.revision is missing"
    ]


OF_A_COMMIT = {"org.opencontainers.image.revision", "org.opencontainers.image.created"}
"""What is taken as its publisher built it has none; every other plan promises them."""


def test_a_commit_that_was_promised_is_missed(tmp_path: Path) -> None:
    labels = {name: value for name, value in LABELS.items() if name not in OF_A_COMMIT}
    found = findings(tmp_path, "labels", config={"Labels": labels})
    assert sorted(found) == sorted(f"the label {name} is missing" for name in OF_A_COMMIT)


def test_the_usual_labels_are_needed_even_when_nobody_promised_them(tmp_path: Path) -> None:
    found = findings(tmp_path, "labels", config={"Labels": {"ingot.cuda": ""}}, labels=())
    assert found == [
        *(
            f"the label {name} is missing"
            for name in LABELS
            if name not in {"ingot.cuda", "ingot.architectures", *OF_A_COMMIT}
        ),
        "the label ingot.cuda is empty",
        "the label ingot.architectures is missing",
    ]


def test_another_value_is_shown_with_the_right_one(tmp_path: Path) -> None:
    assert findings(tmp_path, "labels", config={"Labels": LABELS | {"ingot.cuda": "12.8"}}) == [
        "the label ingot.cuda is '12.8', expected is '13.0'"
    ]
