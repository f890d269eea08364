"""A private authority: its certificate, one for a server, one for an edge, and a token.

The authority's own key is thrown away once it has signed: nobody can ever make another certificate that these trust.
"""

from __future__ import annotations

import ipaddress
import os
import secrets
import socket
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from lmos_opt.errors import InputError, MissingExtraError
from lmos_opt.processes.writing import unwritable

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

_LOCAL = ("localhost", "127.0.0.1", "::1")
_EARLIER = timedelta(minutes=5)
"""Clocks of a laboratory's machines may differ by this much."""


def make_certificates(folder: Path, hosts: Sequence[str] = (), days: int = 365) -> list[Path]:
    """Write ca.pem, server.pem and .key, edge.pem and .key, and token to a folder; the files.

    The server's certificate bears `hosts` (default: this machine's name) and the loopback addresses. InputError for names
    that none can have, a folder that cannot be written, or files that are there: nothing is ever overwritten. DiskFullError
    if the disk is full. Either all files are there afterwards, or none.
    """
    try:
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError:
        raise MissingExtraError("making certificates", "tls") from None
    names = [_name(host) for host in dict.fromkeys([*(hosts or [socket.gethostname()]), *_LOCAL])]
    authority_key, server_key, edge_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
    authority = _certificate("lmos laboratory authority", authority_key, None, authority_key, days, [])
    server = _certificate("lmos server", server_key, authority, authority_key, days, names)
    edge = _certificate("lmos edge", edge_key, authority, authority_key, days, [])
    contents = {
        "ca.pem": _pem(authority), "server.pem": _pem(server), "server.key": _key_pem(server_key),
        "edge.pem": _pem(edge), "edge.key": _key_pem(edge_key), "token": secrets.token_hex(32).encode() + b"\n",
    }  # fmt: skip
    files = {folder / name: content for name, content in contents.items()}
    written: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file in files:
            if file.exists():
                raise InputError(str(file), "is there already; certificates go to a folder without any")
        for file, content in files.items():
            secret = file.suffix != ".pem"
            handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if secret else 0o644)
            written.append(file)
            with os.fdopen(handle, "wb") as opened:
                opened.write(content)
        written.clear()
    except OSError as error:
        raise unwritable(error.filename or (written[-1] if written else folder), error) from None
    finally:
        for file in written:  # some of them are worth nothing, and would be in the way the next time
            file.unlink(missing_ok=True)
    return list(files)


def _name(host: str) -> x509.GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    labels = host.split(".")
    if not host.isascii() or len(host) > 253 or not all(0 < len(p) <= 63 and p.replace("-", "").isalnum() for p in labels):
        raise InputError("--host", f"{host!r} is neither a host's name nor an address")
    return x509.DNSName(host)


def _certificate(
    name: str,
    key: EllipticCurvePrivateKey,
    issuer: x509.Certificate | None,
    issuer_key: EllipticCurvePrivateKey,
    days: int,
    hosts: Sequence[x509.GeneralName],
) -> x509.Certificate:
    """A certificate for `key`; an authority's where there is no issuer, a server's where there are hosts, else an edge's."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    now = datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    is_authority = issuer is None
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=0 if is_authority else None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .add_extension(
            x509.KeyUsage(digital_signature=not is_authority, key_cert_sign=is_authority, crl_sign=is_authority,
                          content_commitment=False, key_encipherment=False, data_encipherment=False, key_agreement=False,
                          encipher_only=False, decipher_only=False),
            critical=True,
        )
    )  # fmt: skip
    if not is_authority:
        use = ExtendedKeyUsageOID.SERVER_AUTH if hosts else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = builder.add_extension(x509.ExtendedKeyUsage([use]), critical=False)
    if hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName(hosts), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _pem(certificate: x509.Certificate) -> bytes:
    from cryptography.hazmat.primitives import serialization

    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: EllipticCurvePrivateKey) -> bytes:
    from cryptography.hazmat.primitives import serialization

    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())  # fmt: skip
