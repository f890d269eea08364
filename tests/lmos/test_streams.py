"""The standard streams of a command: gone, full, closed, or too narrow for its letters."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lmos import output
from lmos_opt import Front
from tests.lmos_opt.documents import chain_data

LMOS = [sys.executable, "-m", "lmos"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "toy.json").write_text(json.dumps(chain_data()))
    return tmp_path


@pytest.mark.parametrize("arguments", [["front", "toy.json"], ["front", "toy.json", "--json"], ["--help"]])
def test_a_reader_that_has_gone_is_no_traceback(arguments, folder):
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([*LMOS, *arguments], stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (1, "")


def test_head_gets_its_line(folder):
    done = subprocess.run(["sh", "-c", '"$0" -m lmos front vgg19 | head -1', sys.executable], capture_output=True,
                          text=True, check=False)  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("vgg19: ")


@pytest.mark.parametrize("arguments", [["front", "toy.json", "--json"], ["--help"]])
def test_a_full_disk_behind_standard_output_is_one_line(arguments, folder):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*LMOS, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "lmos: standard output: no space left on device\n")


def test_streams_that_are_closed_lead_nowhere(folder):
    done = subprocess.run(["sh", "-c", '"$0" -m lmos front toy.json -o out.json >&- 2>&- <&-', sys.executable], check=False)
    assert (done.returncode, Front.load(folder / "out.json").complete) == (0, True)


def test_json_has_escapes_where_standard_output_has_no_room_for_letters(monkeypatch):
    with io.TextIOWrapper(io.BytesIO(), encoding="latin-1", write_through=True) as narrow:
        monkeypatch.setattr(sys, "stdout", narrow)
        output.print_json('{"é": "→ 😀"}')
        written = narrow.buffer.getvalue()
    assert written.isascii()
    assert json.loads(written) == {"é": "→ 😀"}
