"""This machine's numbers for a profile, from the profile alone."""

from __future__ import annotations

import pytest

from lmos_opt import InputError
from lmos_opt.tensors import TensorSpec
from measurement import measure_codecs, time_profile
from measurement.networks import build_network
from measurement.profiling import profile_built
from measurement.tracing import trace_network
from measurement.tracing.calls import random_input

BUILDER = "runner_networks:branched"


@pytest.fixture(scope="module")
def profile():
    module = build_network(BUILDER, "seeded:0", allow_code=True)
    x = random_input(TensorSpec(shape=(1, 3, 8, 8), dtype="float32"), 0)
    return profile_built(BUILDER, "seeded:0", module, trace_network(module, x))


def test_a_profile_is_timed_from_what_it_names(profile):
    found = time_profile(profile, threads=1, budget_s=0.05, allow_code=True)
    assert found.is_timed
    assert found.timing.threads == 1
    assert found.timing.exchange_s is None
    assert found.model_copy(update={"layers": profile.layers, "timing": None}) == profile


def test_codecs_are_measured_from_what_it_names(profile):
    said = []
    found = measure_codecs(profile, ["fp16"], threads=1, allow_code=True, tell=said.append)
    first = profile.layers[0]
    assert found.codecs["fp16"].sent[first.name].bytes * 2 == first.output_bytes
    assert found.codecs["fp16"].about["images"] == "8: random tensors"
    assert said == ["measuring fp16 on this machine"]


def test_code_of_one_s_own_is_run_only_where_that_is_allowed(profile):
    for measure in (time_profile, lambda profile: measure_codecs(profile, ["fp16"])):
        with pytest.raises(InputError, match="runner_networks"):
            measure(profile)


@pytest.mark.parametrize(("measure", "why"), [
    (time_profile, "names no network to build, so it cannot be timed"),
    (lambda profile: measure_codecs(profile, ["raw"]), "names no network to build, so its codecs cannot be measured"),
    (lambda profile: measure_codecs(profile, ["morse"]), "'morse'"),
])  # fmt: skip
def test_what_cannot_be_measured_is_said(profile, measure, why):
    with pytest.raises(InputError, match=why):
        measure(profile.model_copy(update={"network": None}))
