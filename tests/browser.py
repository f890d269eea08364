"""Chromium without a window, driven over a pipe by its DevTools protocol: nothing beside the standard library."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)
_OPTIONS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--mute-audio",
            "--disable-background-networking", "--remote-debugging-pipe")  # fmt: skip
_SILENT_S = 90


class Browser:
    """One page. `errors` are what its scripts failed with and said to the console as errors."""

    def __init__(self, asks: int, answers: int) -> None:
        self._asks, self._answers = asks, answers
        self._rest, self._count = b"", 0
        self.errors: list[str] = []
        target = self._call("Target.createTarget", {"url": "about:blank"})["targetId"]
        self._session = self._call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """A command to the page."""
        return self._call(method, parameters, self._session)

    def open(self, url: str, width: int = 1280, height: int = 900) -> None:
        """Load an address in a window of this size, and wait until it has."""
        self.resize(width, height)
        self.call("Page.navigate", url=url)
        self.wait_for("document.readyState === 'complete'")

    def write(self, text: str) -> None:
        """Put a page's text in the place of the one that is loaded; what its scripts defined stays."""
        self.evaluate(f"document.open(); document.write({json.dumps(text)}); document.close()")
        self.wait_for("document.readyState === 'complete'")

    def evaluate(self, expression: str) -> Any:
        """The value of an expression in the page; promises are waited for."""
        found = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in found:
            raise AssertionError(found["exceptionDetails"].get("exception", found["exceptionDetails"]))
        return found["result"].get("value")

    def wait_for(self, condition: str, timeout_s: float = 30) -> None:
        """Return when the expression is true."""
        wait = ("new Promise((yes, no) => { const end = performance.now() + %d; const look = () => { let is = false; "
                "try { is = %s } catch {} is ? yes(true) : performance.now() > end ? no(new Error('waited in vain')) : "
                "setTimeout(look, 5) }; look() })")
        self.evaluate(wait % (timeout_s * 1000, condition))

    def picture(self, path: Path, width: int) -> None:
        """The page as a PNG, all of its height."""
        height = self.evaluate("Math.max(document.documentElement.scrollHeight, document.body.scrollHeight)")
        self.resize(width, min(height, 16000))
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def resize(self, width: int, height: int = 900) -> None:
        """Give the window another size."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)

    def _call(self, method: str, parameters: dict[str, Any], session: str | None = None) -> dict[str, Any]:
        self._count += 1
        asked = {"id": self._count, "method": method, "params": parameters}
        text = json.dumps(asked | ({"sessionId": session} if session else {})).encode() + b"\0"
        while text:
            text = text[os.write(self._asks, text) :]
        while True:
            message = self._receive()
            if message.get("id") == self._count:
                assert "error" not in message, message["error"]
                return message["result"]

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            assert select.select([self._answers], [], [], _SILENT_S)[0], f"Chromium said nothing for {_SILENT_S} s"
            part = os.read(self._answers, 1 << 20)
            assert part, "Chromium has gone"
            self._rest += part
        text, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        match message.get("method"):
            case "Runtime.exceptionThrown":
                self.errors.append(str(message["params"]["exceptionDetails"].get("exception", {}).get("description")))
            case "Log.entryAdded" if message["params"]["entry"]["level"] == "error":
                self.errors.append(message["params"]["entry"]["text"] + " " + message["params"]["entry"].get("url", ""))
        return message


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser of its own, gone afterwards."""
    assert CHROMIUM is not None
    there, asks = os.pipe()
    answers, back = os.pipe()
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as folder:
        shell = ["bash", "-c", f'exec 3<&{there} 4>&{back}; exec "$0" "$@"']
        process = subprocess.Popen([*shell, CHROMIUM, *_OPTIONS, f"--user-data-dir={folder}"], pass_fds=(there, back),
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
        os.close(there)
        os.close(back)
        try:
            yield Browser(asks, answers)
        finally:
            os.close(asks)
            os.close(answers)
            process.terminate()
            process.wait(30)
