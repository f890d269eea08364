"""A folder of certificates."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from lmos_opt.errors import DiskFullError
from runner.wire.certs import make_certificates
from tests.lmos_opt.documents import listed

pytest.importorskip("cryptography")


def test_certificates_are_all_there_or_none(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (700, hard))  # the authority's is shorter, the server's is not
    try:
        with pytest.raises(DiskFullError, match=r"cannot be written: file too large"):
            make_certificates(tmp_path, [f"{'x' * 60}.{k}" for k in range(9)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert listed(tmp_path) == []
