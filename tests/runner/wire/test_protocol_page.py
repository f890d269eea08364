"""The client of docs/protocol.md, with nothing but the standard library, beside torch."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from measurement.networks import build_network
from runner.parts.split import split_module
from runner.wire.tensors import pack
from tests.runner.running import BRANCHED, Plans, one_thread, server_process

pytestmark = pytest.mark.process
PAGE = Path(__file__).parents[3] / "docs" / "protocol.md"


def test_a_client_written_from_the_page_gets_the_networks_own_outputs(tmp_path: Path) -> None:
    found = re.search(r"^```python client.py\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None
    (tmp_path / "client.py").write_text(found[1])
    plans = Plans(BRANCHED)
    image = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    with one_thread(), torch.inference_mode(), server_process(tmp_path / "log") as server:
        for cut in (2, 4):
            plan = plans(cut)
            plan.save(tmp_path / "plan.json")
            module = build_network(BRANCHED, "seeded:0", allow_code=True)
            head, _ = split_module(module, plan.edge_layers, image)
            _, parts = pack(head(image))
            (tmp_path / "payload.bin").write_bytes(b"".join(parts))
            command = [sys.executable, "-I", "client.py", f"127.0.0.1:{server.port}", "plan.json", "payload.bin"]
            done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
            assert done.returncode == 0, done.stderr
            expected = module(image)
            assert json.loads(done.stdout) == {"tensors": [["output", list(expected.shape)]], "bytes": expected.nbytes}
            assert (tmp_path / "outputs.bin").read_bytes() == expected.numpy().tobytes()


def test_a_client_is_told_why_it_is_refused(tmp_path: Path) -> None:
    found = re.search(r"^```python client.py\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None
    (tmp_path / "client.py").write_text(found[1].replace('b"LMOS", 2, kind', 'b"LMOS", 9, kind'))
    Plans(BRANCHED)(2).save(tmp_path / "plan.json")
    with server_process(tmp_path / "log") as server:
        command = [sys.executable, "-I", "client.py", f"127.0.0.1:{server.port}", "plan.json"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 1
        assert done.stderr == "protocol: the edge speaks version 9 of the protocol; the server speaks version 2\n"
