"""What everybody pays for each command."""

from __future__ import annotations

import subprocess
import sys


class StartUp:
    """Processes of their own, as a shell starts them."""

    def time_help(self) -> None:
        """`lmos --help`."""
        self._run("-m", "lmos", "--help")

    def time_import(self) -> None:
        """`import lmos_opt`."""
        self._run("-c", "import lmos_opt")

    def _run(self, *arguments: str) -> None:
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
