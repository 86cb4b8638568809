"""How a person runs the image: docker, compose, Helm, with the arguments that smoke has seen accepted. Pure."""

import json
import shlex
from dataclasses import dataclass
from typing import Final

from build.plan.model import ImagePlan
from build.recipe.model import SmokeModel

__all__ = ["Usage", "usage"]

_FOLDER: Final = "/models"
_WIDTH: Final = 96


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Three ways to the same server."""

    docker: str
    compose: str
    helm: str
    verified: bool
    """The check `arguments` saw exactly these arguments accepted."""
    pushed: bool
    """The reference can be pulled."""


def usage(plan: ImagePlan, repository: str, digest: str, *, verified: bool, pushed: bool) -> Usage:
    """Write the ways down. `repository` is the full name in the registry, without a tag."""
    args = _arguments(plan)
    return Usage(
        docker=_docker(plan, f"{repository}:{plan.tag}@{digest}", args),
        compose=_compose(plan, f"{repository}:{plan.tag}@{digest}", args),
        helm=_helm(plan, repository, digest, args),
        verified=verified,
        pushed=pushed,
    )


def _arguments(plan: ImagePlan) -> tuple[str, ...]:
    """Fill in the placeholders: the model first named, then one of the flag's own name for each further file."""
    ending = "mini" if plan.recipe.smoke.model is SmokeModel.MINI else "gguf"
    known = 0
    words: list[str] = []
    for word in plan.recipe.serve.args:
        if "{model}" in word:
            name = "model" if known == 0 else (words[-1].strip("-") or f"model-{known + 1}")
            known += 1
            word = word.replace("{model}", f"{_FOLDER}/{name}.{ending}")  # noqa: PLW2901  (filled in)
        words.append(word.replace("{port}", str(plan.recipe.runtime.port)))
    return tuple(words)


def _docker(plan: ImagePlan, image: str, args: tuple[str, ...]) -> str:
    port = plan.recipe.runtime.port
    lines = [
        f"docker run --rm --gpus all -p {port}:{port} --read-only --tmpfs /tmp",
        f'-v "$PWD/models:{_FOLDER}:ro"',
        shlex.quote(image),
    ]
    for word in map(shlex.quote, args):
        if len(lines[-1]) + len(word) > _WIDTH or lines[-1] == shlex.quote(image):
            lines.append(word)
        else:
            lines[-1] += f" {word}"
    return " \\\n  ".join(lines)


def _compose(plan: ImagePlan, image: str, args: tuple[str, ...]) -> str:
    # Compose fills in what begins with a dollar; two of them are one.
    command = "".join(f"      - {json.dumps(word.replace('$', '$$'))}\n" for word in args)
    port = plan.recipe.runtime.port
    return (
        "services:\n"
        f"  {plan.recipe.name}:\n"
        f"    image: {json.dumps(image)}\n"
        + (f"    command:\n{command}" if command else "")
        + f'    ports: ["{port}:{port}"]\n'
        f'    volumes: ["./models:{_FOLDER}:ro"]\n'
        "    read_only: true\n"
        '    tmpfs: ["/tmp"]\n'
        "    restart: unless-stopped\n"
        "    deploy:\n"
        "      resources:\n"
        "        reservations:\n"
        "          devices:\n"
        "            - {driver: nvidia, count: all, capabilities: [gpu]}\n"
    )


def _helm(plan: ImagePlan, repository: str, digest: str, args: tuple[str, ...]) -> str:
    listed = "".join(f"  - {json.dumps(word)}\n" for word in args)
    user, _, group = plan.recipe.runtime.user.partition(":")
    return (
        "image:\n"
        f"  repository: {json.dumps(repository)}\n"
        f"  tag: {json.dumps(f'{plan.tag}@{digest}')}\n"
        + (f"args:\n{listed}" if listed else "")
        + "service:\n"
        f"  port: {plan.recipe.runtime.port}\n"
        "securityContext:\n"
        "  runAsNonRoot: true\n"
        f"  runAsUser: {user}\n"
        f"  runAsGroup: {group or user}\n"
        "  readOnlyRootFilesystem: true\n"
        "resources:\n"
        "  limits:\n"
        "    nvidia.com/gpu: 1\n"
    )
