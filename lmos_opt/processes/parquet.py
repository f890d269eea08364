"""Parquet files read without threads.

Arrow starts threads to read a file, however small. A process that ends while they start is aborted (`terminate called without an
active exception`, exit status 134), after its work is done and its output is written.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def read_table(path: Path) -> pa.Table:
    """The table of a Parquet file. OSError if the file cannot be read, ValueError or pa.ArrowException if it is no such file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    return pq.ParquetFile(pa.BufferReader(path.read_bytes()), pre_buffer=False).read(use_threads=False)


def read_frame(path: Path) -> pd.DataFrame:
    """The table as a pandas DataFrame. Raises as `read_table`."""
    frame: pd.DataFrame = read_table(path).to_pandas(use_threads=False)
    return frame
