"""Decoders as chains of blocks: the same bits as the undivided network's, and a state that never advances by mistake."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
import torch

from lmos_opt import InputError
from measurement.decoders import Chain, State, chain_of
from measurement.decoders.state import Pick
from measurement.networks import build_network, network_digest
from measurement.networks.hollow import HollowNetwork
from measurement.profiling import profile_traced
from measurement.tracing import trace
from runner.parts.split import split_traced
from tests.decoders import CONFIGURATIONS, folder

pytest.importorskip("transformers")
IDS = torch.tensor([[96, 3, 17, 5, 60, 2, 9, 41, 8, 77, 31, 4, 12, 50, 23, 88, 19, 7, 33, 0]])


def built(place: Path, kind: str) -> tuple[Any, Chain]:
    """The undivided network and the chain, with the same weights."""
    where = folder(place, kind)
    chain = build_network(f"decoder:{where}", "seeded:1", allow_code=True)
    assert isinstance(chain, Chain)
    return build_network(f"hf:{where}", "seeded:1", allow_code=True), chain


def undivided(network: Any, ids: torch.Tensor, n_tokens: int) -> list[int]:
    """The greedy tokens of the network itself, over its own cache."""
    from transformers import DynamicCache

    found, new = [], ids
    name = "cache" if "cache" in inspect.signature(network.forward).parameters else "past_key_values"
    kept = {name: DynamicCache(config=network.config)}
    for _ in range(n_tokens):
        scores = network(new, use_cache=True, logits_to_keep=1, **kept).logits[:, -1]
        new = scores.argmax(-1, keepdim=True)
        found.append(int(new))
    return found


class TestTheChain:
    @pytest.mark.parametrize("kind", CONFIGURATIONS)
    @torch.inference_mode()
    def test_its_tokens_are_the_undivided_networks_wherever_it_is_cut(self, kind: str, tmp_path: Path) -> None:
        network, chain = built(tmp_path, kind)
        wanted = undivided(network, IDS, 24)
        traced = trace(chain, IDS)
        assert [layer.name for layer in traced.layers] == ["embed", "blocks.0", "blocks.1", "blocks.2", "head"]
        for cut in (1, 3, 4):
            head, tail = split_traced(traced, [layer.name for layer in traced.layers][:cut])
            here, there, new, found = State(), State(), IDS, []
            for _ in range(24):
                with here.call(new.shape[1]):
                    crossing = head(new)
                with there.call(new.shape[1]):
                    new = tail(crossing)
                found.append(int(new))
            assert found == wanted, cut
            assert here.length == there.length == IDS.shape[1] + 23
            assert {*here.tensors} == {*range(max(cut - 1, 0))}

    @pytest.mark.parametrize("kind", CONFIGURATIONS)
    def test_a_network_without_numbers_has_the_same_digest(self, kind: str, tmp_path: Path) -> None:
        _, chain = built(tmp_path, kind)
        hollow = HollowNetwork.build(f"decoder:{tmp_path / kind}", "seeded:1", allow_code=True)
        structure = trace(chain, IDS).structure
        assert hollow.trace(IDS).structure == structure
        assert hollow.digest(structure) == network_digest(chain, structure)

    def test_the_networks_own_forward_goes_on_as_before(self, tmp_path: Path) -> None:
        network, _ = built(tmp_path, "llama")
        before = network(IDS).logits
        chain_of(network, "it")(IDS)
        assert torch.equal(network(IDS).logits, before)

    def test_what_is_no_known_decoder_is_refused_with_those_that_are(self, tmp_path: Path) -> None:
        where = tmp_path / "bert"
        where.mkdir()
        (where / "config.json").write_text('{"model_type": "bert", "architectures": ["BertForMaskedLM"], "num_hidden_layers": 1}')
        with pytest.raises(InputError, match="is a BertForMaskedLM, which is not known as a decoder; there are gpt2, llama"):
            build_network(f"decoder:{where}", "seeded:0", allow_code=True)


class TestState:
    @torch.inference_mode()
    def test_a_text_that_is_cut_goes_on_as_if_nothing_had_come_after(self, tmp_path: Path) -> None:
        _, chain = built(tmp_path, "llama")
        state = State()
        with state.call(20):
            wanted = chain(IDS)
        with state.call(1):
            after = chain(wanted)
        with state.call(1):
            chain(torch.tensor([[5]]))
        assert state.cut_to(20)
        with state.call(1):
            assert torch.equal(chain(wanted), after)

    @torch.inference_mode()
    def test_blocks_that_forgot_the_past_say_so_and_are_empty(self, tmp_path: Path) -> None:
        _, chain = built(tmp_path, "mistral")
        state = State()
        with state.call(20):
            chain(IDS)
        with state.call(1):
            chain(torch.tensor([[5]]))
        assert not state.cut_to(20)
        assert (state.length, state.n_bytes) == (0, 0)

    @torch.inference_mode()
    def test_a_call_that_fails_in_its_middle_leaves_no_half_taken_text(self, tmp_path: Path) -> None:
        _, chain = built(tmp_path, "gpt2")
        state = State()
        with state.call(20):
            chain(IDS)
        chain.blocks[2].layer.forward = lambda *args, **options: torch.zeros(())[5]  # type: ignore[method-assign]
        with pytest.raises(IndexError), state.call(1):
            chain(torch.tensor([[3]]))
        assert (state.length, state.n_bytes) == (0, 0)

    @torch.inference_mode()
    def test_a_frozen_state_begins_each_call_with_the_same_text(self, tmp_path: Path) -> None:
        for kind in ("llama", "mistral"):
            _, chain = built(tmp_path, kind)
            state = State()
            with state.call(20):
                new = chain(IDS)
            before = state.n_bytes
            with state.frozen():
                assert torch.equal(chain(new), chain(new))
            with state.call(1):
                last = chain(new)
            with State().frozen():
                assert torch.equal(chain(torch.cat([IDS, new], 1)), last)
            assert state.n_bytes >= before


class TestEightBits:
    @pytest.mark.parametrize("kind", CONFIGURATIONS)
    @torch.inference_mode()
    def test_blocks_take_a_quarter_and_compute_nearly_the_same(self, kind: str, tmp_path: Path) -> None:
        where = folder(tmp_path, kind)
        chain, packed = (build_network(f"{source}:{where}", "seeded:1", allow_code=True) for source in ("decoder", "decoder_int8"))
        assert isinstance(chain, Chain)
        assert isinstance(packed, Chain)
        whole, small = (trace(one, IDS) for one in (chain, packed))
        before, after = (profile_traced(one).layer("blocks.1") for one in (whole, small))
        assert after.macs == before.macs
        assert after.weight_bytes < 0.36 * before.weight_bytes  # norms, biases and a step for each row are not packed
        for n in (20, 1):
            hidden = chain.embed(IDS[:, :n])
            assert torch.equal(packed.embed(IDS[:, :n]), hidden)
            exact, near = chain.blocks[0](hidden), packed.blocks[0](hidden)
            assert 0 < float((near - exact).norm() / exact.norm()) < 0.05

    @torch.inference_mode()
    def test_the_parts_write_what_the_packed_network_writes(self, tmp_path: Path) -> None:
        where = folder(tmp_path, "llama")
        packed = build_network(f"decoder_int8:{where}", "seeded:1", allow_code=True)
        traced = trace(packed, IDS)
        hollow = HollowNetwork.build(f"decoder_int8:{where}", "seeded:1", allow_code=True)
        assert hollow.digest(hollow.trace(IDS).structure) == network_digest(packed, traced.structure)
        head, tail = split_traced(traced, ["embed", "blocks.0"])
        texts = []
        for is_split in (False, True):
            here, there, new, found = State(), State(), IDS, []
            for _ in range(12):
                n = new.shape[1]
                with here.call(n):
                    made = head(new) if is_split else packed(new)
                if is_split:
                    with there.call(n):
                        made = tail(made)
                new = made
                found.append(int(new))
            texts.append(found)
        assert texts[0] == texts[1]


class TestPick:
    def test_what_is_drawn_depends_on_seed_and_position_alone(self) -> None:
        scores = torch.linspace(0, 1, 50).unsqueeze(0)
        drawn = [int(Pick(1.0, 7).of(scores, position)) for position in range(40)]
        assert drawn == [int(Pick(1.0, 7).of(scores, position)) for position in range(40)]
        assert drawn != [int(Pick(1.0, 8).of(scores, position)) for position in range(40)]
        assert len({*drawn}) > 10
        assert {int(Pick(1e-4, 7).of(scores, position)) for position in range(40)} == {int(Pick().of(scores, 0))} == {49}
