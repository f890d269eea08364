"""What a picture weighs as a JPEG of 224x224: sent instead of the float32 image, it is the baseline that cut 0 deserves.

`python -m lmos.paper.making.jpeg` writes data/pictures/jpeg224.csv again; the bytes are those of the libjpeg that Pillow
brings, and may differ by some from one release to the next.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

from lmos_opt.data import data_dir
from lmos_opt.processes.writing import write_atomically

SIDE, QUALITY = 224, 75
"""Of the networks' input; Pillow's and most cameras' software's usual quality."""


def jpeg_bytes(path: Path) -> int:
    """Bytes of a picture as JPEG, its centre scaled to the networks' input."""
    from PIL import Image, ImageOps

    with Image.open(path) as picture:
        small = ImageOps.fit(picture.convert("RGB"), (SIDE, SIDE), Image.Resampling.BILINEAR)
    buffer = io.BytesIO()
    small.save(buffer, format="JPEG", quality=QUALITY)
    return len(buffer.getvalue())


def lines() -> Iterator[str]:
    """The CSV's lines."""
    from measurement.pictures.folders import picture_files

    yield "picture,side,quality,bytes"
    for path in picture_files(data_dir() / "pictures"):
        yield f"{path.name},{SIDE},{QUALITY},{jpeg_bytes(path)}"


if __name__ == "__main__":
    write_atomically(data_dir() / "pictures" / "jpeg224.csv", "".join(f"{line}\n" for line in lines()).encode())
