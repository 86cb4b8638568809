"""One container: removed however it resists, and refused where it would get a disk."""

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest
import requests
from docker.errors import APIError, DockerException, NotFound

from build.doors.container import Running, refuse_volumes, remove
from build.doors.effects import ContainerSpec
from build.doors.watch import Watch
from build.errors import WorkFailed


def refusal(status: int) -> APIError:
    response = requests.Response()
    response.status_code = status
    return APIError("no", response=response)


class Container:
    """Answers requests to remove it with one error after the other, then is gone."""

    def __init__(self, *answers: Exception, mounts: tuple[dict[str, str], ...] = ()) -> None:
        self.answers = list(answers)
        self.attrs: dict[str, Any] = {"Mounts": mounts}
        self.asked = 0

    def remove(self, *, force: bool, v: bool) -> None:
        assert force
        assert v
        self.asked += 1
        if self.answers:
            raise self.answers.pop(0)


@pytest.mark.parametrize(
    "answers",
    [
        (),
        (NotFound("gone"),),
        (refusal(409), NotFound("gone")),
        (refusal(500), refusal(409)),
    ],
)
def test_a_removal_on_its_way_is_waited_for(answers: tuple[Exception, ...]) -> None:
    container = Container(*answers)
    remove(container)  # type: ignore[arg-type]
    assert container.answers == []


def test_a_removal_that_is_refused_is_an_error() -> None:
    container = Container(refusal(403))
    with pytest.raises(APIError):
        remove(container)  # type: ignore[arg-type]
    assert container.asked == 1


def test_a_result_whose_output_broke_off_is_none() -> None:
    class Ended:
        def wait(self, timeout: float) -> None:
            assert timeout > 0

    def frames() -> Iterator[tuple[bytes, None]]:
        yield b"version: 4", None
        raise ConnectionResetError(104, "Connection reset by peer")

    watch = Watch(frames=frames(), limit=100, life_s=60, kill=lambda: None, sample=lambda: None)
    watch.begin()
    running = Running(Ended(), watch, lambda _what: nullcontext())  # type: ignore[arg-type]
    with pytest.raises(DockerException, match=r"^what a container printed broke off: .*reset by peer$"):
        running.wait(1)
    assert watch.end(5)


def test_volumes_are_refused_and_mounts_are_not() -> None:
    mounted = Container(mounts=({"Type": "bind", "Destination": "/ingot/model"},))
    refuse_volumes(mounted, ContainerSpec(image="x"))  # type: ignore[arg-type]
    both = (
        {"Type": "volume", "Destination": "/var/lib/y"},
        {"Type": "volume", "Destination": "/data"},
    )
    with pytest.raises(WorkFailed) as caught:
        refuse_volumes(Container(mounts=both), ContainerSpec(image="x"))  # type: ignore[arg-type]
    assert caught.value.message == ("x declares volumes (/data, /var/lib/y): a container could fill the disk")
    assert caught.value.hint == "take VOLUME out of the Dockerfile"
