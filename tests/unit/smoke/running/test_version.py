from build.smoke.running import version
from tests.unit.smoke.running.images import good_server, running_image


def test_the_right_version_passes() -> None:
    verdict = version.check(running_image(good_server()))
    assert verdict.findings == ()
    assert verdict.detail == {"said": "version: 42 (abcdef123)"}


def test_another_version() -> None:
    verdict = version.check(running_image(good_server(version="version: 0 (unknown)")))
    assert verdict.findings == (
        "`--version` does not say 'version: 42 (abcdef123)', it says: version: 0 (unknown)",
    )


def test_a_status_other_than_0() -> None:
    verdict = version.check(running_image(good_server(version="cannot open libx.so", version_exit=127)))
    assert verdict.findings == ("`--version` ended with status 127: cannot open libx.so",)
