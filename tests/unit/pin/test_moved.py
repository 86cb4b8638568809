"""What moved in an image of the same lock, by name."""

from dataclasses import replace

from build.pin.moved import moved
from build.recipe.refs import Digest
from tests.unit.plan.plans import PIN

OLD = replace(PIN.base, packages=("bash=5.1", "libc6=2.36-9+deb12u9", "old=1"))
NEW = replace(
    OLD, digest=Digest("sha256:" + "e" * 64), packages=("bash=5.1", "libc6=2.36-9+deb12u10", "new=1:2")
)


def test_moved_new_and_gone_packages_are_named() -> None:
    (one,) = moved(replace(PIN, base=OLD), replace(PIN, base=NEW))
    assert (one.before, one.after) == (OLD.digest, NEW.digest)
    assert str(one) == (
        "the base was made anew under the same lock and is another one: "
        "libc6 2.36-9+deb12u9 -> 2.36-9+deb12u10, new: new=1:2, gone: old=1"
    )


def test_an_image_may_move_without_its_packages() -> None:
    (one,) = moved(replace(PIN, toolchain=OLD), replace(PIN, toolchain=replace(NEW, packages=OLD.packages)))
    assert str(one).startswith("the toolchain was made anew")
    assert str(one).endswith(": its packages are the same")


def test_another_origin_is_said() -> None:
    there = replace(OLD, origin="registry: debian:bookworm-slim")
    here = replace(NEW, origin="bootstrapped: debian/bookworm", packages=OLD.packages)
    (one,) = moved(replace(PIN, toolchain=there), replace(PIN, toolchain=here))
    assert str(one) == (
        "the toolchain is another one under the same lock, now bootstrapped from debian/bookworm, "
        "before from registry debian:bookworm-slim: its packages are the same"
    )
    (back,) = moved(replace(PIN, toolchain=here), replace(PIN, toolchain=there))
    assert "now from registry debian:bookworm-slim, before bootstrapped from debian/bookworm" in str(back)


def test_equal_images_and_other_locks_have_not_moved() -> None:
    assert moved(PIN, PIN) == ()
    assert moved(replace(PIN, base=OLD), replace(PIN, base=replace(NEW, lock="another"))) == ()


def test_a_toolchain_of_another_build_machine_has_not_moved() -> None:
    here, there = replace(PIN, toolchain=OLD), replace(NEW, platform="linux/arm64", cross="f" * 64)
    assert moved(here, replace(PIN, toolchain=there)) == ()
    assert moved(here, replace(PIN, toolchain=replace(there, cross=""))) != ()
