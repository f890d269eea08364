"""A decoder's profile: what its layers keep of a text, and what one more token takes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lmos_opt import InputError, Instance
from lmos_opt.profile import NetworkProfile, Tokens
from measurement.decoders import Chain, State
from measurement.networks import build_network
from measurement.networks.hollow import HollowNetwork
from measurement.profiling import profile_built
from measurement.sources.decoder import ids_of
from measurement.timing import torch_threads
from measurement.timing.held import held_bytes
from measurement.timing.stepping import Steps
from measurement.tokens import lengths, timed_decoder, with_tokens
from measurement.tracing import trace
from tests.decoders import CONFIGURATIONS, folder

pytest.importorskip("transformers")


def decoder(place: Path, kind: str) -> Chain:
    found = build_network(f"decoder:{folder(place, kind)}", "seeded:0", allow_code=True)
    assert isinstance(found, Chain)
    return found


def profile_of(chain: Chain, tokens: Tokens, builder: str = "decoder:it") -> NetworkProfile:
    traced = trace(chain, ids_of(chain.vocabulary, tokens.prompt))
    return with_tokens(profile_built(builder, "seeded:0", chain, traced), HollowNetwork.of(chain), tokens)


class TestState:
    @pytest.mark.parametrize(("kind", "heads", "most"), [("gpt2", 4, None), ("llama", 2, None), ("mistral", 2, 15)])
    def test_keys_and_values_are_found_with_their_bytes(self, kind: str, heads: int, most: int | None, tmp_path: Path) -> None:
        chain = decoder(tmp_path, kind)
        profile = profile_of(chain, Tokens(prompt=12, context=40))
        embed, *blocks, head = profile.layers
        assert (embed.state, head.state) == ((), ())
        for block in blocks:
            assert [(one.name, one.shape, one.dtype, one.most_tokens) for one in block.state] == [
                ("keys", (1, heads, 1, 8), "float32", most), ("values", (1, heads, 1, 8), "float32", most)]  # fmt: skip
            assert block.state_bytes_per_token == 2 * heads * 8 * 4
        state = State()
        with torch.inference_mode(), state.call(40):
            chain(ids_of(97, 40))
        assert sum(layer.state_bytes(40) for layer in profile.layers) == state.n_bytes

    def test_one_token_works_less_than_a_prompt_and_reads_the_whole_context(self, tmp_path: Path) -> None:
        chain = decoder(tmp_path, "gpt2")
        near, far = (profile_of(chain, Tokens(prompt=12, context=n)) for n in (40, 80))
        linear, width = 12 * 32 * 32, 32
        for profile, context in ((near, 40), (far, 80)):
            step = profile.layer("blocks.1").token
            assert step is not None
            assert step.macs == linear + 2 * width * (context + 1)
            assert step.output_bytes == 32 * 4
        assert near.layer("blocks.1").macs == 12 * linear + 2 * width * 12 * 12


class TestWorkspace:
    @pytest.mark.parametrize("kind", CONFIGURATIONS)
    def test_it_is_what_torch_allocates_beside_outputs_and_state(self, kind: str, tmp_path: Path) -> None:
        """Of a block that makes masks and rotations itself; on shapes alone, and by torch's own account of its allocations."""
        chain, n = decoder(tmp_path, kind), 40
        profile = profile_of(chain, Tokens(prompt=n, context=40))
        layer, ids = profile.layer("blocks.0"), ids_of(97, n)
        # attention has memory for each thread; what is frozen keeps what is beyond a window
        with torch_threads(1), torch.inference_mode(), State().frozen():
            held = held_bytes(Steps(trace(chain, ids)), [ids])["blocks.0"]
        assert layer.workspace_bytes == pytest.approx(held - layer.output_bytes - layer.state_bytes(n), rel=0.15)
        assert layer.workspace_bytes > layer.output_bytes
        assert layer.token is not None
        assert layer.token.workspace_bytes > layer.state_bytes(40) / 3  # keys are copied, then values
        found = Instance.from_profile(profile).layer("blocks.0")
        assert found.workspace_bytes == max(layer.workspace_bytes, layer.token.workspace_bytes)


class TestFilesAndInstances:
    def test_written_profiles_read_back_equal_and_others_are_as_before(self, tmp_path: Path) -> None:
        chain = decoder(tmp_path, "mistral")
        profile = profile_of(chain, Tokens(prompt=12, context=40))
        assert NetworkProfile.from_dict(profile.to_dict()) == profile
        plain = profile_built("decoder:it", "seeded:0", chain, trace(chain, ids_of(97, 12)))
        assert "tokens" not in plain.to_dict()
        assert not {"state", "token", "state_bytes_per_token", "workspace_bytes"} & {*plain.to_dict()["layers"][1]}

    def test_an_instance_counts_the_state_at_the_context(self, tmp_path: Path) -> None:
        profile = profile_of(decoder(tmp_path, "llama"), Tokens(prompt=12, context=40))
        instance = Instance.from_profile(profile)
        assert instance.tokens == Tokens(prompt=12, context=40)
        block = instance.layer("blocks.0")
        assert (block.state_bytes, block.output_bytes, block.token_bytes) == (40 * 128, 12 * 128, 128)
        assert (instance.inputs, instance.of_token.inputs) == ({"input": 96}, {"input": 8})
        assert block.held_bytes == block.weight_bytes + 40 * 128

    def test_a_wrong_sum_is_named(self, tmp_path: Path) -> None:
        data = profile_of(decoder(tmp_path, "llama"), Tokens(prompt=12, context=40)).to_dict()
        data["layers"][1]["state_bytes_per_token"] = 1
        with pytest.raises(InputError, match=r"layers\[1\].state_bytes_per_token: got 1, but the state has 128"):
            NetworkProfile.from_dict(data)


class TestLengths:
    def test_texts_that_are_too_long_are_refused(self, tmp_path: Path) -> None:
        chain = decoder(tmp_path, "llama")
        assert lengths(chain) == Tokens(prompt=128, context=599)
        assert lengths(chain, 7, 8) == Tokens(prompt=7, context=8)
        with pytest.raises(InputError, match="--prompt: 601 tokens are more than this decoder takes"):
            lengths(chain, 601)
        with pytest.raises(InputError, match="--context: 600 tokens"):
            lengths(chain, None, 600)

    def test_both_texts_are_timed(self, tmp_path: Path) -> None:
        chain = decoder(tmp_path, "llama")
        profile = profile_of(chain, Tokens(prompt=12, context=40))
        assert not profile.is_timed
        timed = timed_decoder(profile, chain, budget_s=0.01)
        assert timed.is_timed
        assert all(layer.token is not None and layer.token.t_local_s is not None for layer in timed.layers)
        assert timed.tokens == profile.tokens
