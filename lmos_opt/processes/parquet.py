"""Parquet files read without threads.

Arrow starts threads to read a file, however small. A process that ends while they start is aborted (`terminate called without an
active exception`, exit status 134), after its work is done and its output is written.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_OBJECT_BYTES = 32
"""Of memory for a row, and for each value in it, as Python holds them: about."""


def read_table(path: Path) -> pa.Table:
    """The table of a Parquet file. OSError if the file cannot be read, ValueError or pa.ArrowException if it is no such file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    return pq.ParquetFile(pa.BufferReader(path.read_bytes()), pre_buffer=False).read(use_threads=False)


def read_rows(data: bytes, most_bytes: int) -> tuple[pa.Table, list[dict[str, Any]]]:
    """The table in the bytes of a Parquet file, and its rows. Raises as `read_table`, and OverflowError if they take more memory.

    A small file may hold any number of rows of any size. Rows are read in groups of which none takes more than `most_bytes` itself.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = pq.ParquetFile(pa.BufferReader(data), pre_buffer=False)
    about = file.metadata  # without its columns: Arrow ends the process where it cannot read these
    largest = max((about.row_group(k).total_byte_size for k in range(about.num_row_groups)), default=0)  # no value is larger
    batches, left = [], most_bytes
    for batch in file.iter_batches(max(1, most_bytes // max(1, about.num_columns * largest)), use_threads=False):
        left -= batch.nbytes + batch.num_rows * (1 + batch.num_columns) * _OBJECT_BYTES
        if left < 0:
            raise OverflowError(f"takes more than {most_bytes} bytes of memory")
        batches.append(batch)
    table = pa.Table.from_batches(batches, file.schema_arrow)
    return table, table.to_pylist()


def read_frame(path: Path) -> pd.DataFrame:
    """The table as a pandas DataFrame. Raises as `read_table`."""
    frame: pd.DataFrame = read_table(path).to_pandas(use_threads=False)
    return frame
