"""`lmos generate`, from a folder to tokens."""

from __future__ import annotations

import json
import signal
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch

from lmos.cli import main
from measurement.decoders import State
from measurement.networks import build_network
from runner.errors import RunnerError
from tests.decoders import folder
from tests.runner.running import one_thread, thread_server

pytest.importorskip("transformers")
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast


def test_from_a_folder_to_tokens(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network = f"hf:{folder(tmp_path, 'llama')}"
    plan, ids = str(tmp_path / "plan.json"), tmp_path / "ids.txt"
    assert main(["plan", network, "--prompt", "8", "--context", "40", "--select", "cut:2", "--objectives", "ttft,tpot,memory",
                 "-o", plan]) == 0  # fmt: skip
    ids.write_text("1 2, 3\n")
    with one_thread(), thread_server([network]) as (host, port):
        asked = ["generate", plan, "--server", f"{host}:{port}", "--network", network, "-n", "5"]
        capsys.readouterr()
        assert main([*asked, "--prompt-ids", "1,2,3", "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert main([*asked, "--prompt-ids", str(ids)]) == 0
        assert capsys.readouterr().out.splitlines()[0] == ",".join(map(str, found["ids"]))
        assert main([*asked, "--prompt-ids", "a"]) == 2
        assert "'a' are no token ids" in capsys.readouterr().err
        ids.write_text(str(ids))  # its own name
        assert main([*asked, "--prompt-ids", str(ids)]) == 2
        assert "ids.txt: holds no token ids" in capsys.readouterr().err
        assert main([*asked, "--prompt", "b c d"]) == 2
        assert "holds no tokenizer" in capsys.readouterr().err
        tokenizer = Tokenizer(models.WordLevel({f"w{k}": k for k in range(97)}, unk_token="w0"))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        PreTrainedTokenizerFast(tokenizer_object=tokenizer).save_pretrained(tmp_path / "llama")
        assert main([*asked, "--prompt", "w1 w2 w3"]) == 0
        assert capsys.readouterr().out.splitlines()[0] == " ".join(f"w{one}" for one in found["ids"])
        assert main(asked) == 2
        assert "--prompt or --prompt-ids: is missing" in capsys.readouterr().err
    assert (found["prompt"], found["told_again"], {*found["predicted"]}) == ([1, 2, 3], 0, {"ttft", "tpot"})
    assert {*found["measured"]} == {"ttft", "tpot"}
    chain = build_network(f"decoder:{tmp_path / 'llama'}", "seeded:0", allow_code=True)
    state, new = State(), torch.tensor([[1, 2, 3]])
    with torch.inference_mode():
        for one in found["ids"]:
            with state.call(new.shape[1]):
                new = chain(new)
            assert int(new) == one


def test_what_was_written_before_an_end_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                                  monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    ends = deque([lambda: signal.raise_signal(signal.SIGINT), Mock(side_effect=RunnerError("there", "no answer"))])

    @contextmanager
    def activity(what: str) -> Iterator[Callable[[str], None]]:
        yield lambda what: ends.popleft()() if what == "3 of 9 tokens" else None

    network, plan = f"hf:{folder(tmp_path, 'llama')}", str(tmp_path / "plan.json")
    assert main(["plan", network, "--prompt", "8", "--context", "40", "--select", "cut:2", "--objectives", "ttft,tpot,memory",
                 "-o", plan]) == 0  # fmt: skip
    with one_thread(), thread_server([network]) as (host, port):
        asked = ["generate", plan, "--server", f"{host}:{port}", "--network", network, "--prompt-ids", "1,2,3", "--json"]
        capsys.readouterr()
        assert main([*asked, "-n", "3"]) == 0
        whole = json.loads(capsys.readouterr().out)
        assert (whole["complete"], whole["reason"]) == (True, None)
        monkeypatch.setattr("lmos.commands.generate.activity", activity)
        for reason in ("interrupted after 3 tokens", "there: no answer"):
            assert main([*asked, "-n", "9"]) == 1
            said = capsys.readouterr()
            found = json.loads(said.out)
            assert (found["ids"], found["complete"], found["reason"]) == (whole["ids"], False, reason)
            assert {*found["measured"]} == {"ttft", "tpot"}
            assert said.err == f"lmos: {reason}\n"


def test_lengths_are_for_decoders_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["front", "alexnet", "--context", "8"]) == 2
    assert "--context: is for a decoder by name" in capsys.readouterr().err
    network = f"hf:{folder(tmp_path, 'gpt2')}"
    assert main(["profile", network, "--context", "8", "--input", "ids=8:int64"]) == 2
    assert "--input: stands beside --prompt or --context" in capsys.readouterr().err
    assert main(["front", network, "--context", "8", "--objectives", "tpot,memory", "--json"]) == 0
    assert {o["name"] for o in json.loads(capsys.readouterr().out)["objectives"]} == {"tpot", "memory"}
