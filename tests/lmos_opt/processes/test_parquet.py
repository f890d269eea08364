"""Parquet files are read as pandas reads them, but without threads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from lmos_opt.processes.parquet import read_frame

WORDS = """
import os, sys
import pandas, pyarrow.parquet
from pathlib import Path
from lmos_opt.processes.parquet import read_frame

before = len(os.listdir("/proc/self/task"))
read_frame(Path(sys.argv[1]))
print(len(os.listdir("/proc/self/task")) - before)
"""


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="this system does not say which threads there are")
def test_a_file_is_read_without_threads(tmp_path):
    table = pd.DataFrame({"name": ["a", "b"], "layers": [["a"], []], "n": [1, 2], "codecs": [{"a": "int8"}, None]})
    table.to_parquet(tmp_path / "table.parquet")
    pd.testing.assert_frame_equal(read_frame(tmp_path / "table.parquet"), pd.read_parquet(tmp_path / "table.parquet"))
    words = [sys.executable, "-c", WORDS, str(tmp_path / "table.parquet")]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == "0\n"
