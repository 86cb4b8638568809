"""The provenance: an in-toto statement as in-toto's own types read it, and what it says of a build."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.resource_descriptor import ResourceDescriptor
from in_toto_attestation.v1.statement import Statement

from build.attest.provenance import BUILD_TYPE, PREDICATE, BuildFacts, provenance
from build.attest.wheels import read_wheels
from build.recipe.model import SdistSource
from build.recipe.refs import Commit
from tests.unit.attest.making import built, make_wheel, plan


@pytest.fixture
def facts(tmp_path: Path) -> BuildFacts:
    make_wheel(tmp_path / "wheels")
    return BuildFacts(
        subject="registry.example.org/me/mini:tag",
        plan=plan(),
        built=built(tmp_path),
        locks=(("recipes/toolchains/cuda-13.0.txt", "a" * 64),),
        wheels=read_wheels(tmp_path / "wheels"),
    )


def checked(text: str) -> Any:
    """Read a statement with in-toto's types, which know no other fields, and let them judge it."""
    statement = json_format.Parse(text, statement_pb2.Statement())
    Statement.copy_from_pb(statement).validate()
    document = json.loads(text)
    found = json_format.ParseDict(document["predicate"], provenance_pb2.Provenance())
    for dependency in found.build_definition.resolved_dependencies:
        ResourceDescriptor.copy_from_pb(dependency).validate()
    assert found.build_definition.build_type
    assert found.build_definition.external_parameters
    assert found.run_details.builder.id
    return document


def dependencies(document: Any) -> dict[str, Any]:
    listed = document["predicate"]["buildDefinition"]["resolvedDependencies"]
    found = {one["name"]: one for one in listed}
    assert len(found) == len(listed)
    return found


def test_what_was_built(facts: BuildFacts) -> None:
    document = checked(provenance(facts))
    assert document["subject"] == [
        {"name": "registry.example.org/me/mini:tag", "digest": {"sha256": facts.built.digest.hex}}
    ]
    assert document["predicateType"] == PREDICATE
    definition = document["predicate"]["buildDefinition"]
    assert definition["buildType"] == BUILD_TYPE
    assert definition["externalParameters"]["variant"] == "no-vmm"
    assert definition["externalParameters"]["recipe"]["name"] == "mini"
    assert definition["internalParameters"]["fingerprint"] == facts.plan.fingerprint


def test_of_what_it_was_built(facts: BuildFacts) -> None:
    found = dependencies(checked(provenance(facts)))
    commit = "0123456789" * 4
    assert found["source"]["uri"] == f"git+https://git.example.org/mini.git@{commit}"
    digests = {name: one["digest"] for name, one in found.items()}
    assert digests == {
        "recipes": {"gitCommit": "c" * 40},
        "source": {"gitCommit": commit},
        "source tree": {"gitTree": "1" * 40},
        "source tree with patches": {"gitTree": "2" * 40},
        "submodule vendor/x": {"gitCommit": "3" * 40},
        "patches/mini/0001-a.patch": {"sha256": "4" * 64},
        "toolchain": {"sha256": "6" * 64},
        "base": {"sha256": "8" * 64},
        "recipes/toolchains/cuda-13.0.txt": {"sha256": "a" * 64},
        "nvidia_cuda_runtime-13.0.96-py3-none-any.whl": {"sha256": facts.wheels[0].sha256},
    }
    assert found["recipes"]["annotations"] == {"changed": True}
    assert found["base"]["annotations"] == {"lock": "7" * 64, "origin": "registry: x"}


def test_by_what_and_when(facts: BuildFacts) -> None:
    run = checked(provenance(facts))["predicate"]["runDetails"]
    assert run["metadata"] == {"startedOn": "2026-03-02T08:00:00Z", "finishedOn": "2026-03-02T09:00:00Z"}
    assert run["builder"]["version"] == {"ingot": "c" * 40, "buildkit": "v0.12", "buildx": "0.13"}


def test_a_build_of_which_nothing_was_noted_says_nothing(facts: BuildFacts) -> None:
    document = checked(provenance(replace(facts, built=replace(facts.built, run=None))))
    assert "metadata" not in document["predicate"]["runDetails"]
    assert "recipes" not in dependencies(document)


def test_a_source_archive_is_a_dependency_by_its_hash(facts: BuildFacts) -> None:
    sdist = SdistSource(
        sdist="x==1", sha256="e" * 64, subdir="", upstream="https://git.example.org/x", commit=Commit("9" * 40), version="1"
    )  # fmt: skip
    pin = replace(facts.plan.pin, source=replace(facts.plan.pin.source, archive_sha256="e" * 64))
    given = replace(facts, plan=replace(facts.plan, pin=pin, recipe=replace(facts.plan.recipe, source=sdist)))
    found = dependencies(checked(provenance(given)))
    assert found["archive"] == {"name": "archive", "uri": "pkg:pypi/x@1", "digest": {"sha256": "e" * 64}}
    assert "source" not in found


def test_equal_artifacts_give_equal_bytes(facts: BuildFacts) -> None:
    assert provenance(facts) == provenance(replace(facts))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"_type": "https://in-toto.io/Statement/v0.1"}, "Wrong statement type"),
        ({"subject": []}, "At least one subject required"),
        ({"surprise": 1}, 'no field named "surprise"'),
    ],
)
def test_the_types_see_a_broken_statement(facts: BuildFacts, change: dict[str, Any], words: str) -> None:
    with pytest.raises((ValueError, json_format.ParseError), match=words):
        checked(json.dumps(json.loads(provenance(facts)) | change))
