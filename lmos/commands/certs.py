"""`lmos certs`: a private authority for a laboratory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lmos.output import out
from runner.wire.certs import make_certificates


def run(output: Path, hosts: Sequence[str], days: int) -> None:
    """Write the files and say how they are used."""
    files = make_certificates(output, hosts, days)
    console = out()
    console.print("files: " + ", ".join(map(str, files)))
    console.print(f"server: lmos serve --tls-cert {output / 'server.pem'} --tls-key {output / 'server.key'} "
                  f"--client-ca {output / 'ca.pem'} --token-file {output / 'token'}")
    console.print(f"edge: lmos run PLAN --ca {output / 'ca.pem'} --cert {output / 'edge.pem'} --key {output / 'edge.key'} "
                  f"--token-file {output / 'token'}")
