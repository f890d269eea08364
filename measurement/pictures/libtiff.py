"""Complaints of libtiff, with which Pillow reads TIFF files: they are kept off standard error, and the reader of the file is
told."""

from __future__ import annotations

import ctypes
import threading
from contextlib import suppress
from functools import cache

from PIL import _imaging

_heard = threading.local()


def _hear(module: int, form: int, values: int) -> None:
    del module, form, values
    _heard.is_wrong = True


_HANDLER = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)(_hear)
"""Lives as long as the library may call it."""


def begin() -> None:
    """Forget the messages to this thread so far."""
    _listen()
    _heard.is_wrong = False


def has_complained() -> bool:
    """Whether libtiff found something wrong in what this thread read since `begin`: pixels are then not those that were stored."""
    return bool(_heard.is_wrong)


@cache
def _listen() -> None:
    library = ctypes.CDLL(_imaging.__file__)
    for name, handler in (("TIFFSetErrorHandler", ctypes.cast(_HANDLER, ctypes.c_void_p)), ("TIFFSetWarningHandler", None)):
        with suppress(AttributeError):  # another Pillow, with libtiff inside it or none
            function = getattr(library, name)
            function.restype, function.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
            function(handler)
