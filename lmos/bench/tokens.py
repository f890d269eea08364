"""Text from decoders over several processes of this machine: beside the undivided network's, and while places are killed.

The networks are small ones of every kind that is known, with seeded weights; what they are compared with is transformers' own
forward and cache.
"""

from __future__ import annotations

import inspect
import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Any

import torch

from lmos.bench.faults.stage import ServerProcess
from lmos_opt.instance import Instance
from lmos_opt.plan import Plan, Setting, make_plan
from lmos_opt.profile import NetworkProfile, Tokens
from measurement.decoders import KINDS, Chain
from measurement.networks import build_network
from measurement.networks.hollow import HollowNetwork
from measurement.profiling import profile_built
from measurement.sources.decoder import ids_of
from measurement.tokens import with_tokens
from measurement.tracing import trace
from runner.places.connect import connect
from runner.places.connected import ConnectedSplit

Tell = Callable[[str], None]
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
_SEED = "seeded:0"


@dataclass(frozen=True)
class Written:
    """One text: of which decoder, over how many places, how long its prompt and itself, and whether it is the undivided one's."""

    kind: str
    places: int
    prompt: int
    tokens: int
    different: int
    drawn: bool
    tpot_s: float


@dataclass(frozen=True)
class Killed:
    """One text during which a place was killed (SIGKILL) and started again: which, at which token, and how long the next token took
    from then on (s): the process's start, its part of the network, and the text so far again."""

    kind: str
    places: int
    place: int
    at_token: int
    different: int
    lost_s: float


class Decoder:
    """A small decoder of a kind, whose folder is written here."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind, place = kind, folder / kind
        place.mkdir(parents=True, exist_ok=True)
        (place / "config.json").write_text(json.dumps({"model_type": kind, **_OWN[kind]}))
        self.network = f"hf:{place}"
        self._builder = f"decoder:{place}"

    @cached_property
    def profile(self) -> NetworkProfile:
        """Of a prompt of 32 tokens and a context of 256."""
        chain = build_network(self._builder, _SEED, allow_code=True)
        assert isinstance(chain, Chain)
        found = profile_built(self._builder, _SEED, chain, trace(chain, ids_of(chain.vocabulary, 32)))
        return with_tokens(found, HollowNetwork.of(chain), Tokens(prompt=32, context=256))

    @cached_property
    def _whole(self) -> Any:
        return build_network(self.network, _SEED, allow_code=True)

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
    def undivided(self, ids: Sequence[int], n_tokens: int) -> list[int]:
        """The most probable tokens of transformers' own forward over its own cache."""
        from transformers import DynamicCache

        name = "cache" if "cache" in inspect.signature(self._whole.forward).parameters else "past_key_values"
        found: list[int] = []
        new, kept = torch.tensor([list(ids)]), {name: DynamicCache(config=self._whole.config)}
        for _ in range(n_tokens):
            new = self._whole(new, use_cache=True, logits_to_keep=1, **kept).logits[:, -1].argmax(-1, keepdim=True)
            found.append(int(new))
        return found


@contextmanager
def line(folder: Path, networks: Sequence[str], places: int) -> Iterator[list[ServerProcess]]:
    """A server process for each place but the first, in order."""
    with ExitStack() as stack:
        found: list[ServerProcess] = []
        for p in range(places, 1, -1):
            onward = found[0].address if found else None
            found.insert(0, stack.enter_context(ServerProcess(folder / f"place{p}.log", networks, onward)))
        yield found


def written(kinds: Sequence[str], most_places: int, prompts: Sequence[int], n_tokens: int, folder: Path,
            tell: Tell = lambda what: None) -> list[Written]:  # fmt: skip
    """Each kind over 2 to so many places, and prompts of each length; drawn texts over all numbers of places beside each other."""
    decoders, found = [Decoder(kind, folder) for kind in kinds], []
    drawn: dict[str, list[int]] = {}
    for places in range(2, most_places + 1):
        with line(folder, [one.network for one in decoders], places) as servers:
            for one in decoders:
                with _connected(one, servers, places) as split:
                    for prompt in prompts:
                        tell(f"{one.kind} over {places} places, a prompt of {prompt}")
                        ids = _prompt(prompt)
                        text = split.text(ids, n_tokens)
                        different = _different([*text], one.undivided(ids, n_tokens))
                        found.append(Written(one.kind, places, prompt, n_tokens, different, False, median(text.times.further_s)))
                    text = split.text(_prompt(prompts[0]), n_tokens, temperature=0.8, seed=5)
                    now = [*text]
                    different = _different(now, drawn.setdefault(one.kind, now))
                    found.append(Written(one.kind, places, prompts[0], n_tokens, different, True, median(text.times.further_s)))
    return found


def killed(kinds: Sequence[str], most_places: int, kills: int, n_tokens: int, folder: Path, tell: Tell = lambda what: None,
           seed: int = 0) -> list[Killed]:  # fmt: skip
    """So many texts, during each of which a random server is killed at a random token and started again at once."""
    rng, found = random.Random(seed), []
    decoders = [Decoder(kind, folder) for kind in kinds]
    with line(folder, [one.network for one in decoders], most_places) as servers:
        for k in range(kills):
            one, victim, at = decoders[k % len(decoders)], rng.randrange(len(servers)), rng.randrange(1, n_tokens)
            tell(f"{one.kind}: killing place {victim + 2} of {most_places} at token {at}")
            ids, now, lost_s, began = _prompt(20 + k), list[int](), 0.0, 0.0
            with _connected(one, servers, most_places) as split:
                text = split.text(ids, n_tokens)
                for token in text:
                    now.append(token)
                    if len(now) == at:
                        began = time.perf_counter()
                        servers[victim].kill()
                        servers[victim].start()
                    elif len(now) == at + 1:
                        lost_s = time.perf_counter() - began
            found.append(Killed(one.kind, most_places, victim + 2, at, _different(now, one.undivided(ids, n_tokens)), lost_s))
    return found


def _connected(one: Decoder, servers: Sequence[ServerProcess], places: int) -> ConnectedSplit:
    return connect(one.plan(places), servers[-(places - 1)].address, networks=[one.network])


def _prompt(n_tokens: int) -> list[int]:
    return [int(one) for one in ids_of(512, n_tokens)[0]]


def _different(found: Sequence[int], wanted: Sequence[int]) -> int:
    return sum(a != b for a, b in zip(found, wanted, strict=False)) + abs(len(found) - len(wanted))


def known(names: Sequence[str]) -> list[str]:
    """The kinds of these names; all where there are none."""
    return [kind for kind in KINDS if kind in names or not names]
