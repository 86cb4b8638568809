import hashlib

from build.bench.prompt import INSTRUCTION, text


def test_the_text_is_the_same_everywhere() -> None:
    digest = "51cd6202ad80735d270caf53fdb2d7aa12125aacad89989128f3d1d9fc5c026d"
    assert hashlib.sha256(text(100_000).encode()).hexdigest() == digest


def test_a_longer_text_begins_with_the_shorter() -> None:
    assert text(5000).startswith(text(400))
    assert text(400).startswith(INSTRUCTION)
    assert [len(text(size)) for size in (1, 400, 5001)] == [1, 400, 5001]


def test_it_does_not_repeat_itself() -> None:
    sentences = text(50_000).removeprefix(INSTRUCTION).split(". ")
    assert len(sentences) > 400
    assert len(set(sentences)) == len(sentences)
