"""Decoders with seeded weights, their plans and their places, each a process; what they are compared with is transformers' own
`generate`."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from lmos.bench.faults.stage import ServerProcess
from lmos_opt.instance import Instance
from lmos_opt.plan import Plan, Setting, make_plan
from lmos_opt.profile import NetworkProfile, Tokens
from measurement.decoders import KINDS, Chain
from measurement.decoders.state import GREEDY, Pick
from measurement.networks import build_network
from measurement.networks.hollow import HollowNetwork
from measurement.profiling import profile_built
from measurement.sources.decoder import ids_of
from measurement.tokens import with_tokens
from measurement.tracing import trace
from runner.places.connect import connect
from runner.places.connected import ConnectedSplit

_USUAL: dict[str, Any] = {
    "hidden_size": 64, "num_hidden_layers": 6, "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 128,
    "vocab_size": 512, "max_position_embeddings": 1024, "bos_token_id": 1, "eos_token_id": None, "initializer_range": 0.5,
}  # fmt: skip
_OWN: dict[str, dict[str, Any]] = {
    "gpt2": {"architectures": ["GPT2LMHeadModel"], "n_embd": 64, "n_layer": 6, "n_head": 4, "vocab_size": 512, "n_positions": 1024,
             "bos_token_id": 1, "eos_token_id": None, "initializer_range": 0.5},
    "llama": {"architectures": ["LlamaForCausalLM"], **_USUAL},
    "qwen2": {"architectures": ["Qwen2ForCausalLM"], **_USUAL, "tie_word_embeddings": True},
    "mistral": {"architectures": ["MistralForCausalLM"], **_USUAL, "sliding_window": 128},
}  # fmt: skip
SEED = "seeded:0"
"""Their weights."""


class Decoder:
    """A decoder of a kind, whose folder is written here: a small one, or of a configuration of its own, under a name of its own."""

    def __init__(self, kind: str, folder: Path, configuration: Mapping[str, Any] | None = None, name: str | None = None) -> None:
        self.kind, place = kind, folder / (name or kind)
        place.mkdir(parents=True, exist_ok=True)
        (place / "config.json").write_text(json.dumps({"model_type": kind, **(configuration or _OWN[kind])}))
        self.network = f"hf:{place}"
        self.builder = f"decoder:{place}"

    @cached_property
    def profile(self) -> NetworkProfile:
        """Of a prompt of 32 tokens and a context of 256."""
        chain = build_network(self.builder, SEED, allow_code=True)
        assert isinstance(chain, Chain)
        found = profile_built(self.builder, SEED, chain, trace(chain, ids_of(chain.vocabulary, 32)))
        return with_tokens(found, HollowNetwork.of(chain), Tokens(prompt=32, context=256))

    @cached_property
    def _whole(self) -> Any:
        return build_network(self.network, SEED, allow_code=True)

    def plan(self, places: int) -> Plan:
        """Layers shared out evenly."""
        instance = Instance.from_profile(self.profile, path=" > 1Gbps > ".join(["rpi4"] * places))
        names = instance.names
        ends = [k * len(names) // places for k in range(places + 1)]
        parts = [names[ends[k] : ends[k + 1]] for k in range(places)]
        along = {"devices": ("rpi4",) * places} if places > 2 else {}
        setting = Setting.of(instance, edge="rpi4", server="rpi4", rule="even", memory_model="sum", **along)
        return make_plan(instance, parts[0], later_layers=parts[1:] if places > 2 else (), setting=setting, profile=self.profile)

    @torch.inference_mode()
    def undivided(self, ids: Sequence[int], n_tokens: int, pick: Pick = GREEDY) -> list[int]:
        """The tokens of transformers' own `generate`: the most probable ones, or those that are drawn from its scores."""

        def drawn(text: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
            return torch.full_like(scores, -torch.inf).scatter_(1, pick.of(scores, text.shape[1]), 0.0)

        prompt = torch.tensor([list(ids)])
        text = self._whole.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=n_tokens, do_sample=False,
                                    use_cache=True, eos_token_id=None, pad_token_id=0,
                                    logits_processor=[] if pick == GREEDY else [drawn])  # fmt: skip
        return [int(one) for one in text[0, len(ids) :]]


def drawn(number: int, folder: Path) -> Decoder:
    """The decoder of a configuration that is drawn: of each kind in turn, with other numbers of layers, heads, and heads of keys
    and values, windows, and heads for language that have the embedding's weights."""
    rng, kind = random.Random(number), [*KINDS][number % len(KINDS)]
    shared, width, layers = rng.choice((1, 2, 4)), rng.choice((8, 16, 24)), rng.randint(2, 7)
    heads = shared * rng.randint(1, 4)
    if kind == "gpt2":
        found = {**_OWN[kind], "n_embd": heads * width, "n_layer": layers, "n_head": heads,
                 "tie_word_embeddings": rng.random() < 0.5}  # fmt: skip
        return Decoder(kind, folder, found, f"drawn{number}")
    found = {**_OWN[kind], "hidden_size": heads * width, "num_hidden_layers": layers, "num_attention_heads": heads,
             "num_key_value_heads": heads // shared, "intermediate_size": rng.randint(16, 200),
             "tie_word_embeddings": rng.random() < 0.5}  # fmt: skip
    if kind == "mistral":
        found["sliding_window"] = rng.choice((None, rng.randint(2, 300)))
    if kind == "qwen2" and rng.random() < 0.5:
        found |= {"use_sliding_window": True, "sliding_window": rng.randint(2, 300), "max_window_layers": rng.randint(0, layers)}
    return Decoder(kind, folder, found, f"drawn{number}")


@contextmanager
def line(folder: Path, networks: Sequence[str], places: int) -> Iterator[list[ServerProcess]]:
    """A server process for each place but the first, in order."""
    with ExitStack() as stack:
        found: list[ServerProcess] = []
        for p in range(places, 1, -1):
            onward = found[0].address if found else None
            found.insert(0, stack.enter_context(ServerProcess(folder / f"place{p}.log", networks, onward)))
        yield found


def connected(one: Decoder, servers: Sequence[ServerProcess], places: int) -> ConnectedSplit:
    """The decoder over so many places, this process among them, connected."""
    return connect(one.plan(places), servers[-(places - 1)].address, networks=[one.network])


def prompt_of(n_tokens: int) -> list[int]:
    """A seeded text of ids that each decoder here has."""
    return [int(one) for one in ids_of(512, n_tokens)[0]]


def differing(found: Sequence[int], wanted: Sequence[int]) -> int:
    """How many tokens of a text are not those that are wanted."""
    return sum(a != b for a, b in zip(found, wanted, strict=False)) + abs(len(found) - len(wanted))
