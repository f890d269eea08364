"""Text from split decoders: the undivided network's tokens over any number of places, through faults, within bounds."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from lmos_opt import InputError, Instance, Plan
from lmos_opt.plan import Setting, make_plan
from lmos_opt.profile import NetworkProfile, Tokens
from measurement.decoders import Chain, State
from measurement.decoders.state import Pick
from measurement.networks import build_network
from measurement.networks.hollow import HollowNetwork
from measurement.profiling import profile_built
from measurement.sources.decoder import ids_of
from measurement.tokens import with_tokens
from measurement.tracing import trace
from runner import connect
from runner.errors import RunnerError
from runner.parts.part import Crossing
from runner.places.connected import ConnectedSplit
from runner.places.onward import Next, Onwards
from runner.places.server import Server
from runner.places.tail import Networks
from runner.places.texts import Texts
from runner.wire.connecting import Listener, listen
from runner.wire.protocol import TextStep
from tests.decoders import CONFIGURATIONS, folder
from tests.runner.frames import Deed, link
from tests.runner.running import Plans

pytest.importorskip("transformers")
pytestmark = pytest.mark.usefixtures("one_torch_thread")
PROMPT = [96, 3, 17, 5, 60, 2, 9, 41, 8, 77, 31, 4, 12, 50, 23, 88, 19, 7, 33, 0]


@dataclass
class Decoder:
    """A small decoder: its folder, its chain, and its profile."""

    place: Path
    chain: Chain
    profile: NetworkProfile

    def plan(self, *counts: int) -> Plan:
        """The plan with so many layers at each place but the last."""
        path = " > 1Gbps > ".join(["rpi4"] * (len(counts) + 1))
        instance = Instance.from_profile(self.profile, path=path)
        ends = [0, *[sum(counts[: k + 1]) for k in range(len(counts))], len(instance.names)]
        places = [instance.names[a:b] for a, b in pairwise(ends)]
        setting = Setting.of(instance, edge="rpi4", server="rpi4", rule="cut", memory_model="sum",
                             **({"devices": ("rpi4",) * len(places)} if len(places) > 2 else {}))
        return make_plan(instance, places[0], later_layers=places[1:] if len(places) > 2 else (), setting=setting,
                         profile=self.profile)  # fmt: skip

    @torch.inference_mode()
    def undivided(self, n_tokens: int, pick: Pick | None = None, prompt: Sequence[int] = PROMPT) -> list[int]:
        """What the chain writes in one place; it is the network's own text (tests of `measurement.decoders`)."""
        state, new, found = State(pick or Pick()), torch.tensor([list(prompt)]), []
        for _ in range(n_tokens):
            with state.call(new.shape[1]):
                new = self.chain(new)
            found.append(int(new))
        return found


@pytest.fixture(scope="module")
def decoders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Decoder]:
    found = {}
    for kind in CONFIGURATIONS:
        place = folder(tmp_path_factory.mktemp("decoders"), kind)
        chain = build_network(f"decoder:{place}", "seeded:0", allow_code=True)
        assert isinstance(chain, Chain)
        plain = profile_built(f"decoder:{place}", "seeded:0", chain, trace(chain, ids_of(97, 8)))
        found[kind] = Decoder(place, chain, with_tokens(plain, HollowNetwork.of(chain), Tokens(prompt=8, context=32)))
    return found


@contextmanager
def place_of(networks: Networks, port: int = 0, to: int | None = None) -> Iterator[int]:
    """The port of a server in a thread; with `to` it is a middle place, and the next listens there."""
    onwards = Onwards(None if to is None else Next(address=("127.0.0.1", to)))
    server = Server(Listener(listen("127.0.0.1", port)), networks, onwards=onwards)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield server.listener.port
    finally:
        server.stop()
        thread.join(20)
        assert not thread.is_alive()


@dataclass
class Line:
    """Servers along a path, and what they remember."""

    ports: list[int]
    networks: list[Networks]

    def connect(self, decoder: Decoder, *counts: int) -> ConnectedSplit:
        return connect(decoder.plan(*counts), ("127.0.0.1", self.ports[-len(counts)]), networks=[f"hf:{decoder.place}"])

    def forget(self, k: int = -1) -> None:
        """As if the server had been started again, as far as texts go."""
        self.networks[k].texts._texts.clear()


@pytest.fixture(scope="module")
def line(decoders: dict[str, Decoder]) -> Iterator[Line]:
    """Three servers: the last alone, one before it, and one before that."""
    allowed = [f"hf:{decoder.place}" for decoder in decoders.values()]
    with ExitStack() as stack:
        found = Line([], [])
        to = None
        for _ in range(3):
            found.networks.insert(0, Networks(allowed))
            to = stack.enter_context(place_of(found.networks[0], to=to))
            found.ports.insert(0, to)
        yield found


class TestTokens:
    @pytest.mark.parametrize("kind", CONFIGURATIONS)
    def test_they_are_the_undivided_networks_over_two_three_and_four_places(self, kind: str, decoders: dict[str, Decoder],
                                                                            line: Line) -> None:  # fmt: skip
        decoder = decoders[kind]
        wanted = decoder.undivided(16)
        assert len({*wanted}) > 4, "a text that says nothing"
        for counts in ((2,), (1, 2), (1, 1, 1)) if kind == "mistral" else ((1, 2),):
            with line.connect(decoder, *counts) as split:
                assert split.generate(PROMPT, 16) == wanted, counts
        assert all(len(networks.texts) == 0 for networks in line.networks)

    def test_prompts_of_any_length_and_drawn_tokens_too(self, decoders: dict[str, Decoder], line: Line) -> None:
        decoder = decoders["gpt2"]
        with line.connect(decoder, 3) as split:
            for prompt in ([5], PROMPT * 5):
                assert split.generate(prompt, 4) == decoder.undivided(4, prompt=prompt)
            drawn = split.generate(PROMPT, 12, temperature=0.8, seed=3)
            assert drawn == decoder.undivided(12, Pick(0.8, 3))
            assert drawn != split.generate(PROMPT, 12, temperature=0.8, seed=4)
            last = decoder.undivided(5)[4]
            assert split.generate(PROMPT, 12, stop=[last]) == decoder.undivided(decoder.undivided(5).index(last) + 1)

    @pytest.mark.parametrize("cut", [0, 5])
    def test_all_layers_at_one_place(self, cut: int, decoders: dict[str, Decoder], line: Line) -> None:
        with line.connect(decoders["llama"], cut) as split:
            assert split.generate(PROMPT, 6) == decoders["llama"].undivided(6)

    def test_a_whole_prompt_goes_through_as_a_picture_does(self, decoders: dict[str, Decoder], line: Line) -> None:
        decoder = decoders["llama"]
        with line.connect(decoder, 2) as split:
            assert split(torch.tensor([PROMPT[:8]])).tolist() == [decoder.undivided(1, prompt=PROMPT[:8])]
            assert split.report().images == 1

    def test_several_texts_at_once(self, decoders: dict[str, Decoder], line: Line) -> None:
        decoder = decoders["qwen2"]
        prompts = [PROMPT[k:] for k in range(3)]
        found: dict[int, list[int]] = {}
        with line.connect(decoder, 2) as split:
            threads = [threading.Thread(target=lambda k=k: found.update({k: split.generate(prompts[k], 8)})) for k in range(3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)
        assert found == {k: decoder.undivided(8, prompt=prompts[k]) for k in range(3)}


class TestFaults:
    @pytest.mark.parametrize(("which", "kind"), [(-1, "mistral"), (-2, "llama")])
    def test_a_place_that_forgot_the_text_is_told_again(self, which: int, kind: str, decoders: dict[str, Decoder],
                                                        line: Line) -> None:  # fmt: skip
        decoder, found = decoders[kind], []
        with line.connect(decoder, 1, 2) as split:
            text = split.text(PROMPT, 12)
            for k, one in enumerate(text):
                found.append(one)
                if k in (0, 4, 9):
                    line.forget(which)
        assert (found, text.times.told_again) == (decoder.undivided(12), 3)

    def test_a_server_that_is_started_again_goes_on_with_the_text(self, decoders: dict[str, Decoder]) -> None:
        decoder, found = decoders["gpt2"], []
        allowed = [f"hf:{decoder.place}"]
        with ExitStack() as first:
            port = first.enter_context(place_of(Networks(allowed)))
            with connect(decoder.plan(2), ("127.0.0.1", port), networks=allowed) as split, ExitStack() as second:
                for one in split.text(PROMPT, 8):
                    found.append(one)
                    if len(found) == 3:
                        first.close()
                        second.enter_context(place_of(Networks(allowed), port))
        assert found == decoder.undivided(8)

    @pytest.mark.parametrize(("kind", "goes_back"), [("llama", True), ("mistral", False)])
    def test_a_repeated_or_early_question_never_advances_a_text_twice(self, kind: str, goes_back: bool, line: Line,
                                                                      decoders: dict[str, Decoder]) -> None:  # fmt: skip
        decoder = decoders[kind]
        wanted, state = decoder.undivided(3), State()
        with line.connect(decoder, 2) as split, torch.inference_mode():
            connection = split.route.connection
            assert connection is not None

            def ask(made: Crossing, position: int) -> tuple[list[int], int | None]:
                (tensor,) = made.values()
                text = TextStep(number=99, position=position, pieces=(tensor.shape[1],))
                exchange = connection.ask(next(split.pipeline.numbers), made, text)
                assert connection.wait(exchange, time.monotonic() + 60)
                assert exchange.answer is not None, exchange.failure
                return [int(one) for one in exchange.answer.outputs.values()], exchange.answer.held

            with state.call(20):
                prompt = split.route.head(torch.tensor([PROMPT]))
            with state.call(1):
                second = split.route.head(torch.tensor([[wanted[0]]]))
            assert ask(second, 20) == ([], 0)
            assert [ask(prompt, 0), ask(prompt, 0)] == [([wanted[0]], 20)] * 2
            assert ask(second, 21) == ([], 20)
            assert ask(second, 20) == ([wanted[1]], 21)
            assert ask(second, 20) == (([wanted[1]], 21) if goes_back else ([], 0))
            assert line.networks[-1].texts.n_bytes == (21 * 2 * 128 if goes_back else 0)
        line.forget()

    @pytest.mark.parametrize("deed", ["repeats", "loses", "swaps", "brings old ones"])
    def test_frames_that_are_lost_repeated_or_swapped_advance_no_text_twice(self, deed: Deed,
                                                                            decoders: dict[str, Decoder]) -> None:  # fmt: skip
        """Both before a middle place and behind it; two texts at once."""
        decoder, prompts = decoders["llama"], (PROMPT, PROMPT[1:])
        allowed = [f"hf:{decoder.place}"]
        places = [Networks(allowed), Networks(allowed)]
        found: tuple[list[int], list[int]] = ([], [])
        too_long: list[int] = []

        def write(split: ConnectedSplit, k: int) -> None:
            for one in split.text(prompts[k], 24):
                found[k].append(one)
                most = sum(len(prompt) + len(text) for prompt, text in zip(prompts, found, strict=True))
                held = [sum(text.state.length for text in [*networks.texts._texts.values()]) for networks in places]
                too_long.extend(n for n in held if n > most)

        with ExitStack() as stack:
            last = stack.enter_context(link(deed, stack.enter_context(place_of(places[1])), 5))
            first = stack.enter_context(link(deed, stack.enter_context(place_of(places[0], to=last.port)), 4))
            with connect(decoder.plan(1, 2), ("127.0.0.1", first.port), networks=allowed) as split:
                threads = [threading.Thread(target=write, args=(split, k)) for k in range(2)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join(60)
        assert found == tuple(decoder.undivided(24, prompt=prompt) for prompt in prompts)
        assert not too_long
        assert (first.done > 0, last.done > 0) == (True, True)

    def test_texts_beyond_the_bounds_push_each_other_out_and_go_on_all_the_same(self, decoders: dict[str, Decoder],
                                                                                line: Line) -> None:  # fmt: skip
        decoder, networks = decoders["llama"], line.networks[-1]
        before, networks.texts = networks.texts, Texts(most=1)
        try:
            with line.connect(decoder, 2) as split:
                texts = [split.text(PROMPT, 5), split.text(PROMPT[1:], 5)]
                pairs = list(zip(*texts, strict=True))
                assert len(networks.texts) <= 1
        finally:
            networks.texts = before
        first, second = (list(found) for found in zip(*pairs, strict=True))
        assert (first, second) == (decoder.undivided(5), decoder.undivided(5, prompt=PROMPT[1:]))
        assert all(text.times.told_again >= 4 for text in texts)

    def test_abandoned_texts_are_bounded(self, decoders: dict[str, Decoder], line: Line) -> None:
        networks = line.networks[-1]
        before, networks.texts = networks.texts, Texts(most=4)
        try:
            with line.connect(decoders["llama"], 2) as split:
                kept = [iter(split.text(PROMPT, 5)) for _ in range(12)]
                for one in kept:
                    next(one)
                assert len(networks.texts) == 4
                assert networks.texts.n_bytes == 4 * len(PROMPT) * 2 * 128
        finally:
            networks.texts = before

    def test_a_text_that_is_too_large_for_a_place_is_refused_in_one_line(self, decoders: dict[str, Decoder], line: Line) -> None:
        networks = line.networks[-1]
        before, networks.texts = networks.texts, Texts(most_bytes=1000)
        try:
            with line.connect(decoders["llama"], 2) as split, pytest.raises(RunnerError, match="the text takes 5120 bytes here"):
                split.generate(PROMPT, 5)
        finally:
            networks.texts = before


class TestBounds:
    """Which texts a place forgets where there are more than it keeps."""

    @staticmethod
    def take(texts: Texts, host: str, session: str, number: int = 0) -> None:
        with texts.taken((session, number), host) as state:
            state.length += 1

    @staticmethod
    def length(texts: Texts, session: str, number: int = 0) -> int:
        with texts.taken((session, number)) as state:
            return state.length

    def test_who_begins_many_pushes_out_its_own(self) -> None:
        texts = Texts(most=6)
        for session in ("a", "b"):
            self.take(texts, "10.0.0.1", session)
        for number in range(9):
            self.take(texts, "10.0.0.1", "many", number)
            self.take(texts, "10.0.0.2", f"one of many {number}")
        assert len(texts) == 6
        assert [self.length(texts, session) for session in ("a", "b")] == [1, 1]

    def test_of_equals_the_one_that_rested_longest_goes(self) -> None:
        texts = Texts(most=2)
        for session in ("a", "b", "a", "c"):
            self.take(texts, "10.0.0.1", session)
        assert self.length(texts, "a") == 2

    def test_nobody_is_waited_for_without_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("runner.places.texts.STALE_S", -1.0)
        texts = Texts(most=2)
        for session, number in (("a", 0), ("b", 0), ("b", 1)):
            self.take(texts, "10.0.0.1", session, number)
        assert self.length(texts, "b") == 1


class TestMistakes:
    def test_what_is_no_prompt_is_refused(self, decoders: dict[str, Decoder], line: Line) -> None:
        with line.connect(decoders["llama"], 5) as split:
            for ids, n, options, message in (
                ([], 1, {}, "ids: are none"), ([97], 1, {}, "ids: 97 is none; expected 0 to 96"),
                ([1], 0, {}, "max_new_tokens: got 0"),
                ([1], 601, {}, "more than the decoder's 600 positions"), (["a"], 1, {}, "expected token ids"),
                ([1], 1, {"temperature": 0.0}, "temperature: got 0.0"), ([1], 1, {"seed": -1}, "seed: got -1"),
            ):  # fmt: skip
                with pytest.raises(InputError, match=message):
                    split.generate(ids, n, **options)

    def test_a_network_that_is_no_decoder_writes_no_text(self, plans: Plans) -> None:
        with (connect(plans(-1), ("127.0.0.1", 1), networks=["runner_networks:branched"]) as split,
              pytest.raises(InputError, match="writes no text: it is no decoder")):
            split.generate([1], 1)
