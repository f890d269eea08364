"""Text from decoders over several processes of this machine: beside the undivided network's, while places are killed,
and abandoned."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from lmos.bench.faults.stage import resident_bytes_of
from lmos.bench.tokens.decoders import Decoder, connected, differing, drawn, line, prompt_of
from measurement.decoders import KINDS
from measurement.decoders.state import GREEDY, Pick

Tell = Callable[[str], None]
_DRAWN = Pick(0.8, 5)
_AT_ONCE = 50
"""Texts that are abandoned together with their connection."""


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


@dataclass(frozen=True)
class Abandoned:
    """How many texts were begun and left, and the resident memory of the server's process (B) after so many of them."""

    prompt: int
    memory_bytes: dict[int, int]

    @property
    def growth(self) -> float:
        """Of the memory from a half of the texts to all of them: 0.1 is a tenth more."""
        after = sorted(self.memory_bytes)
        half = next(n for n in after if 2 * n >= after[-1])
        return self.memory_bytes[after[-1]] / self.memory_bytes[half] - 1


def written(kinds: Sequence[str], most_places: int, prompts: Sequence[int], n_tokens: int, folder: Path,
            tell: Tell = lambda what: None) -> list[Written]:  # fmt: skip
    """Each kind over 2 to so many places, and prompts of each length; one text of each is drawn."""
    decoders, found = [Decoder(kind, folder) for kind in kinds], []
    for places in range(2, most_places + 1):
        with line(folder, [one.network for one in decoders], places) as servers:
            for one in decoders:
                with connected(one, servers, places) as split:
                    for prompt in prompts:
                        tell(f"{one.kind} over {places} places, a prompt of {prompt}")
                        ids = prompt_of(prompt)
                        text = split.text(ids, n_tokens)
                        different = differing([*text], one.undivided(ids, n_tokens))
                        found.append(Written(one.kind, places, prompt, n_tokens, different, False, median(text.times.further_s)))
                    ids = prompt_of(prompts[0])
                    text = split.text(ids, n_tokens, temperature=_DRAWN.temperature, seed=_DRAWN.seed)
                    different = differing([*text], one.undivided(ids, n_tokens, _DRAWN))
                    found.append(Written(one.kind, places, prompts[0], n_tokens, different, True, median(text.times.further_s)))
    return found


def of_drawn(many: int, most_places: int, n_tokens: int, folder: Path, tell: Tell = lambda what: None,
             seed: int = 0) -> list[Written]:  # fmt: skip
    """A text of each of so many drawn configurations (`decoders.drawn`), every other one's tokens drawn too: over 2 to so many
    places, behind a prompt of 1 to 300."""
    rng, decoders, found = random.Random(seed), [drawn(many * seed + k, folder) for k in range(many)], []
    with line(folder, [one.network for one in decoders], most_places) as servers:
        for k, one in enumerate(decoders):
            places, ids = rng.randint(2, most_places), prompt_of(rng.randint(1, 300))
            pick = Pick(rng.uniform(0.3, 1.5), rng.randrange(10**6)) if k // len(KINDS) % 2 else GREEDY
            tell(f"a drawn {one.kind} over {places} places, a prompt of {len(ids)}")
            with connected(one, servers, places) as split:
                text = split.text(ids, n_tokens, temperature=pick.temperature, seed=pick.seed)
                different = differing([*text], one.undivided(ids, n_tokens, pick))
            found.append(Written(f"{one.kind}, drawn", places, len(ids), n_tokens, different, pick != GREEDY,
                                 median(text.times.further_s)))  # fmt: skip
    return found


def killed(kinds: Sequence[str], most_places: int, kills: int, n_tokens: int, folder: Path, tell: Tell = lambda what: None,
           seed: int = 0) -> list[Killed]:  # fmt: skip
    """So many texts, during each of which a server, each in turn, is killed at a random token and started again at once."""
    rng, found = random.Random(seed), []
    decoders = [Decoder(kind, folder) for kind in kinds]
    with line(folder, [one.network for one in decoders], most_places) as servers:
        for k in range(kills):
            one, victim, at = decoders[k % len(decoders)], k % len(servers), rng.randrange(1, n_tokens)
            tell(f"{one.kind}: killing place {victim + 2} of {most_places} at token {at}")
            ids, now, lost_s, began = prompt_of(20 + k), list[int](), 0.0, 0.0
            with connected(one, servers, most_places) as split:
                text = split.text(ids, n_tokens)
                for token in text:
                    now.append(token)
                    if len(now) == at:
                        began = time.perf_counter()
                        servers[victim].kill()
                        servers[victim].start()
                    elif len(now) == at + 1:
                        lost_s = time.perf_counter() - began
            found.append(Killed(one.kind, most_places, victim + 2, at, differing(now, one.undivided(ids, n_tokens)), lost_s))
    return found


def abandoned(n_texts: int, prompt: int, folder: Path, tell: Tell = lambda what: None) -> Abandoned:
    """Begin so many texts over two places, and leave each behind its first token: the server is not told that they are over."""
    one, after = Decoder("llama", folder), dict[int, int]()
    ids = prompt_of(prompt)
    with line(folder, [one.network], 2) as servers:
        for begun in range(0, n_texts, _AT_ONCE):
            tell(f"{begun} of {n_texts} texts abandoned")
            with connected(one, servers, 2) as split:
                left = [iter(split.text(ids, 2)) for _ in range(min(_AT_ONCE, n_texts - begun))]
                for text in left:
                    next(text)
            after[begun + len(left)] = resident_bytes_of(servers[0].pid)
    return Abandoned(prompt, after)
