"""A folder of certificates."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from lmos_opt.errors import DiskFullError, InputError
from runner.wire.access import Credentials, read_token
from runner.wire.certs import make_certificates
from runner.wire.tls import edge_tls, server_tls
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


JUNK = {"junk": "hello\n", "cut": "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
        "locked": "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n"}  # fmt: skip


@pytest.mark.parametrize(("certificate", "key", "said"), [
    ("none", "server.key", "certificate: none: no such file; expected a certificate in PEM"),
    ("server.pem", "none", "key: none: no such file; expected a private key in PEM"),
    ("server.pem", ".", "key: .: is a directory; expected a private key in PEM"),
    ("junk", "server.key", "certificate: junk: holds nothing that can be read as a certificate in PEM"),
    ("cut", "server.key", "certificate: cut: holds nothing that can be read as a certificate in PEM"),
    ("server.key", "server.key", "certificate: server.key: holds nothing that can be read as a certificate in PEM"),
    ("server.pem", "junk", "key: junk: holds nothing that can be read as a private key in PEM"),
    ("server.pem", "server.pem", "key: server.pem: holds nothing that can be read as a private key in PEM"),
    ("server.pem", "edge.key", "key: edge.key: is not the key of the certificate server.pem"),
    ("server.pem", "locked", "key: locked: is locked with a password; expected a private key without one"),
])  # fmt: skip
def test_which_file_is_wrong_and_what_it_should_be_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, certificate: str, key: str, said: str
) -> None:
    """OpenSSL says "[SSL] PEM lib" of all of them."""
    make_certificates(tmp_path, ["a"])
    for name, text in JUNK.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    for made in (server_tls, lambda *files: edge_tls(Path("ca.pem"), *files)):
        with pytest.raises(InputError) as told:
            made(Path(certificate), Path(key))
        assert str(told.value) == said


def test_a_certificate_with_its_key_in_one_file_will_do(tmp_path: Path) -> None:
    make_certificates(tmp_path, ["a"])
    both = tmp_path / "both.pem"
    both.write_text((tmp_path / "edge.pem").read_text() + (tmp_path / "edge.key").read_text())
    edge_tls(tmp_path / "ca.pem", both)
    with pytest.raises(InputError, match=r"^certificate: .*edge.pem: holds nothing that can be read as a private key in PEM$"):
        edge_tls(tmp_path / "ca.pem", tmp_path / "edge.pem")


@pytest.mark.parametrize("begins", ["--", "--next-"])
def test_a_file_without_a_token_is_named_with_its_option(tmp_path: Path, begins: str) -> None:
    file = tmp_path / "token"
    asked = Credentials(ca=None, cert=None, key=None, token_file=file, unprotected=False, begins=begins)
    with pytest.raises(InputError) as told:
        asked.at(("127.0.0.1", 7070))
    assert str(told.value) == f"{begins}token-file: {file}: no such file or directory; expected a file that holds a token"
    file.write_text("short")
    with pytest.raises(InputError, match=f"^{begins}token-file: {file}: holds no token: expected one line of 16"):
        asked.at(("127.0.0.1", 7070))
    with pytest.raises(InputError, match=f"^{file}: holds no token"):  # from Python no option gave it
        read_token(file)


@pytest.mark.parametrize("begins", ["--", "--next-"])
def test_an_authority_that_is_missing_is_named_with_its_option(tmp_path: Path, begins: str) -> None:
    asked = Credentials(ca=tmp_path / "none.pem", cert=None, key=None, token_file=None, unprotected=False, begins=begins)
    with pytest.raises(InputError) as told:
        asked.at(("127.0.0.1", 7070))
    assert str(told.value) == f"{begins}ca: {tmp_path}/none.pem: no such file; expected the certificate of an authority in PEM"
    (tmp_path / "none.pem").write_text("hello")
    with pytest.raises(InputError, match=r"ca: .*: holds nothing that can be read as the certificate of an authority in PEM"):
        asked.at(("127.0.0.1", 7070))
