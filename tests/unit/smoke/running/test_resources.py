"""What a server may use: each limit reached for real by a fake, and named."""

import pytest

from build.recipe.model import Family
from build.smoke.model import Outcome
from build.smoke.running import resources
from build.smoke.running.limits import LIMITS, LOG_BYTES, PROCESSES, size
from build.smoke.running.session import session
from tests.fakes import Server
from tests.unit.smoke.running.images import findings, good_server, outcomes, running_image

SERVER_MEMORY = LIMITS[Family.LLAMA_CPP].memory


def test_a_modest_server_passes_with_its_figures() -> None:
    image = running_image(good_server(memory=7 << 20, processes=5, log="ready\n"))
    with session(image) as started:
        verdict = resources.check(started)
    assert verdict.findings == ()
    assert verdict.detail == {
        "memory_peak": 7 << 20,
        "memory_measured": "by the kernel",
        "memory_limit": 4 << 30,
        "processes_peak": 5,
        "processes_limit": 1024,
        "log_bytes": 6,
        "log_limit": 8 << 20,
    }


@pytest.mark.parametrize(
    ("server", "finding"),
    [
        (
            good_server(oom=True),
            "out of memory: the kernel killed it, or a process of it, at its limit of 4 GiB",
        ),
        (good_server(memory=SERVER_MEMORY), "it used all of the 4 GiB of memory that it may use"),
        (
            good_server(processes=PROCESSES),
            "it had 1024 processes and threads, as many as it may have",
        ),
        (good_server(printed=LOG_BYTES + 1), "it printed more than 8 MiB of log and was killed"),
    ],
)
def test_a_server_at_a_limit(server: Server, finding: str) -> None:
    assert findings(resources.check, running_image(server)) == [finding]


@pytest.mark.parametrize("server", [good_server(memory=SERVER_MEMORY - 1), good_server(printed=LOG_BYTES)])
def test_a_server_just_below_one(server: Server) -> None:
    assert findings(resources.check, running_image(server)) == []


def test_an_engine_that_does_not_tell_is_no_finding() -> None:
    image = running_image(good_server(memory=None))
    with session(image) as started:
        assert resources.check(started).detail["memory_peak"] is None


def test_memory_is_named_where_the_server_never_came_up() -> None:
    found = outcomes(running_image(good_server(oom=True)))
    assert found["health"] == (
        Outcome.FAILED,
        "the server was killed for memory before /health answered 200; its last lines:",
    )
    assert found["resources"][0] is Outcome.FAILED


@pytest.mark.parametrize(
    ("count", "said"), [(17, "17 bytes"), (1536, "1.5 KiB"), (8 << 20, "8 MiB"), (4 << 30, "4 GiB")]
)
def test_sizes(count: int, said: str) -> None:
    assert size(count) == said
