"""Makes docs/img: every picture of the pages is made by a command, or is that of a page that one serves.

`make pictures`, after a change that shows. Screenshots need Chromium.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

IMG = Path(__file__).parent / "img"
ROOT = IMG.parent.parent
COMMANDS = (
    "front resnet18 --bandwidth 50Mbps --select knee --plot {img}/resnet18-front.png",
    "plan resnet18 --bandwidth 20Mbps --select ideal --plot {img}/resnet18-cut.png",
)


def main() -> None:
    """Make all of them."""
    for command in COMMANDS:
        lmos(*command.format(img=IMG).split())
    from lmos_opt.plots.cuts import save_cuts_plot
    from lmos_opt.sources import Options, instance_of, load_source

    save_cuts_plot(instance_of(load_source("vgg19"), Options(bandwidth="20Mbps")), IMG / "vgg19-cuts.png")
    screenshot()


def screenshot() -> None:
    """The page of `lmos ui`."""
    sys.path.insert(0, str(ROOT))
    from tests.browser import browser

    command = [sys.executable, "-m", "lmos", "ui", "vgg19", "--bandwidth", "20Mbps", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as served, browser() as page:
        assert served.stdout is not None
        page.open(served.stdout.readline().strip(), width=1000, height=700)
        page.wait_for("lmos.answers > 0")
        page.picture(IMG / "ui.png", 1000)
        served.terminate()


def lmos(*arguments: str) -> None:
    """One command of this checkout."""
    subprocess.run([sys.executable, "-m", "lmos", *arguments], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
