"""Pictures from a video file or a camera, by OpenCV."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from PIL import Image

from lmos_opt.errors import InputError, MissingExtraError

SUFFIXES = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ogv", ".webm"})
_CAMERA = re.compile(r"camera:(\d{1,4})")


def is_camera(path: Path) -> bool:
    """Whether this is `camera:N`, the N-th camera of this machine."""
    return _CAMERA.fullmatch(str(path)) is not None


class Video:
    """The frames of a video file, or of a camera, which gives the next one whatever its number is.

    MissingExtraError without OpenCV, InputError if it opens neither file nor camera.
    """

    def __init__(self, path: Path) -> None:
        for variable, level in (("OPENCV_LOG_LEVEL", "SILENT"), ("OPENCV_FFMPEG_LOGLEVEL", "-8")):
            os.environ.setdefault(variable, level)  # one line says what is wrong, without theirs before it
        try:
            import cv2
        except ImportError:
            raise MissingExtraError("videos and cameras (OpenCV, opencv-python-headless)", "video") from None
        self._cv2: Any = cv2
        self._path = path
        camera = _CAMERA.fullmatch(str(path))
        self._camera = None if camera is None else int(camera[1])
        if camera is None and not path.is_file():
            raise InputError(str(path), "no such file")
        self._last: Image.Image | None = None
        self._next = 0
        self._capture = self._open()

    def count(self, most: int | None) -> int:
        """How many frames there are, up to `most`; they are decoded for it. InputError if there is none."""
        n = 0
        while (most is None or n < most) and self._capture.grab():
            n += 1
        if not n:
            raise InputError(str(self._path), "holds no frame that can be read")
        self._capture = self._open()
        return n

    def frame(self, k: int) -> Image.Image:
        """The k-th frame, from 0; going back means reading from the beginning. InputError if it cannot be read."""
        if self._camera is None and k == self._next - 1 and self._last is not None:
            return self._last
        if self._camera is None and k < self._next:
            self._capture = self._open()
        while self._camera is None and self._next < k:
            self._next += 1
            if not self._capture.grab():
                raise self._ended(k)
        is_there, pixels = self._capture.read()
        if not is_there:
            raise self._ended(k)
        self._next = k + 1
        self._last = Image.fromarray(self._cv2.cvtColor(pixels, self._cv2.COLOR_BGR2RGB))
        return self._last

    def _open(self) -> Any:
        source, by = (str(self._path), self._cv2.CAP_FFMPEG) if self._camera is None else (self._camera, self._cv2.CAP_ANY)
        self._next, self._last = 0, None
        found = self._cv2.VideoCapture(source, by)
        if not found.isOpened():
            wrong = "is no video that OpenCV reads" if self._camera is None else "there is no such camera"
            raise InputError(str(self._path), wrong)
        return found

    def _ended(self, k: int) -> InputError:
        return InputError(str(self._path), f"frame {k} cannot be read")
