"""Every variable that a user may set, with what it means: the README's table. What they decide is settings.py."""

from dataclasses import dataclass

__all__ = ["GITHUB_API", "SETTINGS", "Setting"]

GITHUB_API = "https://api.github.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One line of the settings table in the README."""

    name: str
    default: str
    meaning: str


SETTINGS: tuple[Setting, ...] = tuple(
    Setting(name=name, default=default, meaning=meaning)
    for name, default, meaning in (
        ("INGOT_OUT", "out", "folder of the artifacts; relative to the repository"),
        (
            "INGOT_CACHE",
            ".cache/ingot",
            "folder of mirrors, wheels and the private engine; relative to the repository",
        ),
        ("INGOT_REGISTRY", "", "where images are pushed, host/namespace"),
        (
            "INGOT_ATTEST",
            "no",
            "what `push` attaches: no; yes: bill of materials, provenance; custody: also all it is built from",
        ),
        (
            "INGOT_GIT_MIRROR",
            "",
            "prefix=replacement pairs, parted by blanks or commas, for source repositories",
        ),
        (
            "INGOT_ENGINE",
            "auto",
            "auto: the host's engine if it can export OCI, else a private one; host; private",
        ),
        ("INGOT_ENGINE_NAME", "main", "which private engine; each name has its own socket, network and data"),
        ("INGOT_BUILDER", "", "buildx builder to build with; BUILDX_BUILDER is honoured where it is not set"),
        (
            "INGOT_LAYER_CACHE",
            "",
            "where builds look for layers that another machine made, host/namespace; trusted as the builder is",
        ),
        (
            "INGOT_LAYER_CACHE_WRITE",
            "",
            "any value but 0: builds also leave there what they made, every stage of it",
        ),
        (
            "INGOT_BUILD_PLATFORM",
            "auto",
            "where compilers run: auto: on this machine's own architecture; linux/amd64; linux/arm64",
        ),
        (
            "INGOT_EMULATE",
            "",
            "any value but 0: compile even where the compiler would be emulated",
        ),
        (
            "INGOT_BASE",
            "auto",
            "auto: the base from its registry, bootstrapped if unreachable; registry; bootstrap",
        ),
        (
            "INGOT_APT_SNAPSHOT",
            "",
            "address of a Debian snapshot, .../debian/<time>: toolchain and base take their packages from there alone",
        ),
        (
            "INGOT_CUSTODY",
            "",
            "where copies of what builds start from are kept: host/namespace, or a folder (/..., ./..., ~/...)",
        ),
        (
            "INGOT_CUSTODY_FIRST",
            "",
            "any value but 0: take the copies and ask their origins only without one",
        ),
        ("DOCKER_HOST", "", "the host's engine, as the docker command understands it"),
        ("DOCKER_CONFIG", "~/.docker", "docker's configuration, with the credentials for push"),
        ("GITHUB_TOKEN", "", "lets a run open pull requests; a workflow hands it over"),
        ("GITHUB_REPOSITORY", "", "owner/name where they are opened; GitHub Actions sets it"),
        ("GITHUB_API_URL", GITHUB_API, "GitHub's API; GitHub Actions sets it"),
        ("NO_COLOR", "", "any value: no colours"),
        ("FORCE_COLOR", "", "any value: colours without a terminal too"),
    )
)
"""Every variable that a user may set, in the order of the README."""
