"""`lmos demo`: the whole way on this machine over loopback, with trained weights and real pictures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

from lmos.commands.front import front_table
from lmos.commands.plan import plan_table
from lmos.commands.run import classes, comparison
from lmos.front_request import FrontRequest, choose, read, trace
from lmos.loopback import run_edge, server_process
from lmos.output import out, table
from lmos.pages.summary.page import save_page
from lmos.pages.summary.subject import gather
from lmos.profiles import make_profile, time_profile
from lmos_opt.plots.front import save_plot
from lmos_opt.processes.writing import make_folder
from lmos_opt.sources import Options
from lmos_opt.units import counted
from runner.watching.report import RunReport

NETWORK = "torchvision:squeezenet1_1"
WEIGHTS = "bundled:squeezenet1_1"
RULE = "min_latency"


def run(output: Path, bandwidth: str, memory: str, n: int) -> None:
    """Profile, front, plan, server, run, report, plot, page; the files go to `output`."""
    seconds: list[list[str]] = []

    @contextmanager
    def part(name: str) -> Iterator[None]:
        start = perf_counter()
        yield
        seconds.append([name, f"{perf_counter() - start:.1f} s"])

    make_folder(output)
    files = {name: output / name for name in
             ("profile.json", "front.json", "front.png", "plan.json", "report.json", "report.html")}
    with part("profile: squeezenet1_1, its layers timed on this machine"):
        profile = time_profile(make_profile(NETWORK, WEIGHTS, "module", (3, 224, 224)), None)
        profile.save(files["profile.json"])
    options = Options(edge="local", server="local", bandwidth=bandwidth, memory=memory)
    request = FrontRequest(str(files["profile.json"]), options)
    with part("front: every non-dominated split"):
        asked = read(request)
        front = trace(request, asked.instance)
        front.save(files["front.json"])
    with part(f"plan: rule {RULE}"):
        plan = choose(request, asked, RULE)
        plan.save(files["plan.json"])
        chosen = front.select(RULE)
        save_plot(front, files["front.png"], chosen)
    running = f"run: {counted(n, 'image')}, edge and server two processes, the link held to {bandwidth}"
    with part(running), server_process(output / "server.log") as address:
        run_edge(files["plan.json"], address, n, bandwidth, files["report.json"])
    report = RunReport.load(files["report.json"])
    with part("page: all of it in one file"):
        save_page(gather(files["report.json"], str(files["profile.json"]), Options(), "sum", None), files["report.html"])
    console = out()
    console.print(front_table(front, asked.instance, chosen))
    console.print(plan_table(plan, asked.instance))
    console.print(comparison(report))
    console.print(classes(report))
    console.print(table("how long each part took", ["part", "time"], seconds, left=[0]))
    console.print("files: " + ", ".join(map(str, files.values())))
