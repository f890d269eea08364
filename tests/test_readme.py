"""README.md and the pages under docs/ are run: what they tell a reader to type works, and links lead somewhere.

A page's blocks are run in order in one empty folder. ```sh is typed into a shell, ```python is a program, and a
```text output after it is what it prints. ```json NAME, ```python NAME and ```text NAME write the file NAME; every ```json
with a schema loads, and reads back equal. Other blocks only show something.

Not run are lines that install or test the project itself: those that begin with `make`, `pip` or `. .venv`. Whatever measures
layers gets SHORT as its budget: how well it measures is not a page's affair.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from lmos_opt import Device, Front, Instance, NetworkProfile, Plan, Policy, objectives
from lmos_opt.files import Document
from lmos_opt.link import Link
from lmos_opt.rules.baselines import BASELINES
from lmos_opt.rules.selection import RULES
from lmos_opt.scenarios.records import ScenariosFile
from lmos_opt.traces.record import LinkTrace
from runner.watching.report import RunReport
from tests import warm
from tests.processes import started

pytestmark = pytest.mark.docs
ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
NOUNS: tuple[type[Document], ...] = (NetworkProfile, Instance, Front, Plan, Policy, RunReport, Device, Link, LinkTrace,
                                     ScenariosFile)
PATIENCE_S = 600  # of a command that hangs; on a busy machine all take long
SHORT = "0.3s"
LEFT_OUT = ("make ", "pip ", ". .venv")
BLOCK = re.compile(r"^```(\w+)[ ]*([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def page_id(page: Path) -> str:
    return str(page.relative_to(ROOT))


class Reader:
    """Does what a page says, in a folder."""

    def __init__(self, folder: Path, commands: Path) -> None:
        self.folder = folder
        path = os.pathsep.join([str(commands), str(Path(sys.executable).parent), os.environ["PATH"]])
        self.environment = {**os.environ, "PATH": path}
        self.servers = ExitStack()
        self.ports: dict[str, int] = defaultdict(free_port)
        self.printed = ""

    def read(self, page: Path) -> int:
        blocks = BLOCK.findall(page.read_text())
        for language, rest, text in blocks:
            if language == "json":
                self.json(text, rest)
            elif language == "sh":
                for line in text.splitlines():
                    self.type(line)
            elif language == "python" and rest:
                (self.folder / rest).write_text(text)
            elif language == "python":
                self.printed = self.run(["python", "-c", text])
            elif rest == "output":
                assert self.printed == text
            elif language == "text" and rest:
                (self.folder / rest).write_text(text)
        return len(blocks)

    def json(self, text: str, name: str) -> None:
        data = json.loads(text)
        if "schema" in data or not name:
            noun = next(noun for noun in NOUNS if data["schema"] in getattr(noun, "SCHEMAS", (noun.SCHEMA,)))
            document = noun.from_dict(data)
            assert noun.from_dict(document.to_dict()) == document
        if name:
            (self.folder / name).write_text(text)

    def type(self, line: str) -> None:
        if not line.strip() or line.startswith(LEFT_OUT):
            return
        line = re.sub(r":(707\d)\b", lambda found: f":{self.ports[found[1]]}", line)
        if re.match(r"lmos (calibrate|profile .*--(time|at))\b", line):
            line = re.sub(r"--budget \S+", "", line) + f" --budget {SHORT}"
        if line.startswith("lmos serve"):
            self.serve(line)
        else:
            self.run(["bash", "-c", line])
        for name in re.findall(r"(?:-o|--plot) (\S+)", line):
            assert (self.folder / name).stat().st_size > 0

    def run(self, command: list[str]) -> str:
        done = subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=PATIENCE_S,
                              check=False)  # fmt: skip
        assert done.returncode == 0, f"{command[-1]}\n{done.stderr}"
        return done.stdout

    def serve(self, line: str) -> None:
        listens = re.search(r"--listen \S+:(\d+)", line)
        port = int(listens[1]) if listens else self.ports["7070"]
        self.servers.enter_context(started(line.split(), cwd=self.folder, env=self.environment, stderr=subprocess.DEVNULL))
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.1)
        pytest.fail("the server did not start")

    def stop(self) -> None:
        self.servers.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def commands() -> Iterator[Path]:
    with warm.commands() as folder:
        yield folder


@pytest.fixture
def reader(tmp_path: Path, commands: Path) -> Iterator[Reader]:
    (tmp_path / "docs" / "img").mkdir(parents=True)
    found = Reader(tmp_path, commands)
    yield found
    found.stop()


def length(page: Path) -> int:
    """How many commands and programs a page has."""
    return sum(len(text.splitlines()) if language == "sh" else 1 for language, _, text in BLOCK.findall(page.read_text()))


@pytest.mark.process
@pytest.mark.parametrize("page", sorted((page for page in PAGES if length(page)), key=length, reverse=True), ids=page_id)
def test_what_a_page_says_works(page, reader):
    assert reader.read(page) > 0


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"], ids=page_id)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        path, _, anchor = target.partition("#")
        if target.startswith(("http://", "https://")):
            continue
        there = page.parent / path if path else page
        assert there.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", there.read_text(), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}, target


def test_the_reference_lists_every_objective_rule_and_baseline():
    pages = [(ROOT / "docs" / "reference" / name).read_text() for name in ("objectives.md", "rules.md")]
    listed = re.findall(r"^\| `([\w:]+)` \|", "\n".join(pages), re.MULTILINE)
    assert {*objectives.names(), *RULES, *BASELINES} <= {*listed}


def test_a_researchers_file_is_short():
    """An objective and a constraint of one's own are at most 15 lines."""
    page = (ROOT / "docs" / "how-to-add-an-objective.md").read_text()
    text = next(text for language, name, text in BLOCK.findall(page) if name == "mine.py")
    assert "Objective(" in text
    assert "def private" in text
    assert len(text.splitlines()) <= 15


def test_an_energy_and_a_rule_about_privacy_along_a_path_are_short():
    """Each at most 15 lines, without what makes the instance and prints."""
    page = (ROOT / "docs" / "how-to-use-several-places.md").read_text()
    programs = [text for language, name, text in BLOCK.findall(page) if language == "python"]
    for what in ("def joules", "def on_the_phone"):
        text = next(text for text in programs if what in text)
        own = text[text.index("load_source\n\n") + len("load_source\n\n") : text.index("PATH = ")]
        assert len(own.strip().splitlines()) <= 15
