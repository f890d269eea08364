"""Tampered conversations in memory: a short run of what `lmos bench fuzz` does at length, and that it can find anything."""

from __future__ import annotations

import json
import random

import pytest
import torch

from lmos.bench.faults import fuzz as fuzzing
from lmos.bench.faults.fuzz import Stage, fuzz
from lmos.bench.faults.mutations import MUTATIONS, Mutation, seal
from lmos.cli import main
from runner.parts.network import class_of
from runner.wire.protocol import Role


def test_no_tampered_conversation_does_harm() -> None:
    found = fuzz(range(1_500), seed=7, total=1_500)
    assert found.inputs == 1_500
    assert found.crashes == []
    assert set(found.ends) == {"events", "refused"}
    assert min(found.ends.values()) > 150  # neither all refused at once nor all left as they were
    assert found.growth_bytes < 100e6


def test_a_picture_for_a_header_of_several_is_refused() -> None:
    """These were neither refused nor understood: the header of a JPEG's tensor spoke of more pictures than one."""
    found = fuzz([39445, 91064, 124160, 138670, 172835], seed=0, total=5)
    assert found.crashes == []


@pytest.mark.slow
def test_a_million_tampered_conversations_do_no_harm() -> None:
    found = fuzz(range(1_000_000), seed=0, total=1_000_000)
    assert found.crashes == []
    assert found.growth_bytes < 100e6
    assert found.slowest_s < 5


def test_untouched_conversations_are_understood_on_both_sides() -> None:
    stage = Stage()
    for frames in stage._under:
        for role in Role:
            assert stage.play(role, b"".join(frames[role][:-1])) == "events"


def test_sealing_an_untouched_frame_changes_nothing() -> None:
    for frame in Stage()._every:
        again = bytearray(frame)
        seal(again)
        assert bytes(again) == frame


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.__name__)
def test_each_mutation_changes_something_and_bears_anything(mutation: Mutation) -> None:
    rng, changed, untouched = random.Random(3), 0, [bytes(frame) for frame in Stage()._frames[Role.EDGE]]
    for _ in range(300):
        frames = [bytearray(frame) for frame in untouched]
        before = [bytes(frame) for frame in frames]
        mutation(rng, frames)
        changed += before != [bytes(frame) for frame in frames]
        mutation(rng, [bytearray(rng.randbytes(rng.randrange(40)))])
        mutation(rng, [])
    assert changed > 100


def test_a_fault_is_found_and_made_again_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def trusting(outputs: dict[str, torch.Tensor]) -> int:
        return list(range(10)).index(outputs["output"].flatten()[-1].item())  # a server may answer what it likes

    monkeypatch.setattr(fuzzing, "class_of", trusting)
    found = fuzz(range(500), seed=0, total=500)
    assert found.crashes
    assert "Error" in found.crashes[0].what
    again = fuzz([found.crashes[0].number], seed=0, total=1)
    assert again.crashes == found.crashes[:1]


def test_the_command_says_what_came_of_it(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["bench", "fuzz", "-n", "200"]) == 0
    assert "200 inputs in" in capsys.readouterr().out
    assert main(["bench", "fuzz", "-n", "200", "--json"]) == 0
    assert sum(json.loads(capsys.readouterr().out)["ends"].values()) == 200
    monkeypatch.setattr(fuzzing, "class_of", lambda outputs: outputs["none"])
    assert main(["bench", "fuzz", "-n", "200"]) == 1
    told = capsys.readouterr()
    assert "--only" in told.out
    assert "neither refused nor understood" in told.err


def test_a_class_is_found_among_complex_outputs() -> None:
    assert class_of({"output": torch.tensor([[1 + 0j, -3j, 2 + 0j]])}) == 1
