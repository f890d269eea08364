"""The command `lmos-edge`: a plan's head here, the rest at a server; every failure is one line and an exit code (2, 3 or 1)."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from lmos_opt import __version__
from lmos_opt.errors import LmosError
from lmos_opt.plans.predicted import stages
from lmos_opt.processes import MOST_THREADS
from lmos_opt.processes.signals import handled, in_one_piece
from lmos_opt.processes.streams import complain, fill_streams
from lmos_opt.processes.writing import check_output
from lmos_opt.units import counted, format_size, format_time, parse_time, whole_of
from runner.errors import Interrupted, one_line
from runner.wire.access import Credentials
from runner.wire.connecting import parse_address
from runner.wire.shaping import parse_shape


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a run is asked for, as typed."""

    plan: Path
    head: Path | None
    server: str
    credentials: Credentials
    images: Path | None = None
    skip_bad_images: bool = False
    n: int | None = None
    output: Path | None = None
    shape: str | None = None
    threads: int | None = None
    deadline: str | None = None
    as_json: bool = False


class ImagesLost(LmosError):
    """The run has ended, and some images have no result."""


def run(request: Request) -> None:
    """Run a plan and print what was measured. InputError for what cannot be used, RunnerError if the run fails; ImagesLost and
    Interrupted come after the report was written."""
    from lmos_edge.plans import Plan
    from lmos_edge.report import save
    from lmos_edge.running import Options, run_plan

    output = request.output
    check_output(output, (".json",), plan=request.plan)
    address = parse_address(request.server, what="--server")
    options = Options(
        head=request.head, images=request.images, n=request.n, skip_bad_images=request.skip_bad_images, threads=request.threads,
        shape=None if request.shape is None else parse_shape(request.shape), access=request.credentials.at(address),
        deadline_s=None if request.deadline is None else parse_time(request.deadline, "--deadline"), tell=_tell,
    )  # fmt: skip
    with (handled((signal.SIGTERM,), signal.default_int_handler, once=True),
          in_one_piece() as held):  # what was measured is there in the end, whenever somebody interrupts
        try:
            report = run_plan(Plan.load(request.plan), address, options, held)
        finally:
            _tell("")
        try:
            _print(report, request.as_json)
        finally:  # also for a closed pipe
            if output is not None:
                save(report, output)
    if not report["complete"]:
        raise Interrupted(f"{report['reason']} after {counted(report['images'], 'image')}")
    if report["lost"]:
        first = report["failed"][0]
        raise ImagesLost(f"{report['lost']} of {counted(report['images'], 'image')} failed; the first: {first['file']}: "
                         f"{first['reason']}")  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; its exit code."""
    if arguments is None:  # the process is the command's
        fill_streams()
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell that starts it in the background ignores it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        told = _parser().parse_args(arguments)
        credentials = Credentials(ca=told.ca, cert=told.cert, key=told.key, token_file=told.token_file,
                                  unprotected=told.unprotected)  # fmt: skip
        run(Request(plan=told.plan, head=told.head, server=told.server, credentials=credentials, images=told.images,
                    skip_bad_images=told.skip_bad_images, n=told.n, output=told.output, shape=told.shape, threads=told.threads,
                    deadline=told.deadline, as_json=told.json))  # fmt: skip
        sys.stdout.flush()
    except LmosError as error:
        return _complain(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _complain("interrupted", 1)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        return _complain(f"{error.filename or 'standard output'}: {(error.strerror or str(error)).lower()}", 1)
    return 0


class UsageError(LmosError):
    """A command line that cannot be read."""

    exit_code = 2


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message.removeprefix("argument "))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser("lmos-edge", description="Run the first part of a plan here, and the rest at a server. "
                                                              "Needs no torch.", allow_abbrev=False)  # fmt: skip
    parser.add_argument("--version", action="version", version=f"lmos-edge {__version__}")
    command = parser.add_subparsers(metavar="COMMAND", required=True).add_parser(
        "run", help="run a plan with a server, and report measured times beside predicted ones", allow_abbrev=False)  # fmt: skip
    add = command.add_argument
    add("plan", type=Path, metavar="PLAN", help="a plan file")
    add("--head", type=Path, metavar="FILE", help="head.onnx, with export.json beside it, or the folder of both")
    add("--server", default="127.0.0.1:7070", metavar="HOST:PORT", help="address where 'lmos serve' listens [%(default)s]")
    add("--images", "--inputs", type=Path, metavar="PATH", help="folder of pictures, picture, .npy or .npz [bundled pictures]")
    add("--skip-bad-images", action="store_true", help="leave out pictures that cannot be read; the report lists them")
    add("-n", type=_positive, metavar="N", help="number of images [each once]")
    add("-o", "--output", type=Path, metavar="FILE", help="write the report (.json)")
    add("--shape", metavar="RATE[,DELAY]", help="limit sending to this rate and delay it, as on a slow link")
    add("--threads", type=_threads, metavar="N", help="number of threads that onnxruntime uses [its own choice]")
    add("--deadline", metavar="TIME", help="do without the server if it takes longer [30s, or 10 times the prediction]")
    add("--ca", type=Path, metavar="FILE", help="use TLS; the certificate of the authority that signed the server's (PEM)")
    add("--cert", type=Path, metavar="FILE", help="this edge's certificate (PEM)")
    add("--key", type=Path, metavar="FILE", help="the private key of --cert")
    add("--token-file", type=Path, metavar="FILE", help="the file that holds the token [the variable LMOS_TOKEN, if set]")
    add("--unprotected", action="store_true", help="allow a token without TLS")
    add("--json", action="store_true", help="print the report as JSON on standard output")
    return parser


def _positive(text: str) -> int:
    number = whole_of(text)
    if not number:
        raise argparse.ArgumentTypeError(f"{text!r:.60} is not a whole number of at least 1")
    return number


def _threads(text: str) -> int:
    number = _positive(text)
    if number > MOST_THREADS:
        raise argparse.ArgumentTypeError(f"{text!r:.60} is more than {MOST_THREADS}")
    return number


def _print(report: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        import json

        sys.stdout.write(json.dumps(report, indent=1, allow_nan=False) + "\n")
    else:
        sys.stdout.write("\n".join(_lines(report)) + "\n")
    sys.stdout.flush()


def _lines(report: Mapping[str, Any]) -> Iterator[str]:
    """The report for people: predicted beside measured, what the network saw, and how it went."""
    plan, measured, predicted = report["plan"], report["measured"], report["predicted"]
    n_places = len(plan.get("places") or "ab")
    yield f"{counted(report['images'], 'image')} of {plan['network']['name']}, on onnxruntime"
    yield f"{'stage':20}{'predicted':>12}{'measured':>12}{'p95':>12}"
    for stage in stages(n_places):
        show = format_size if stage.endswith("bytes") else format_time
        found = measured.get(stage)
        cells = [show(float(predicted[stage])) if stage in predicted else "-"]
        cells += [show(found[key]) if found else "-" for key in ("p50", "p95")]
        yield f"{stage:20}" + "".join(f"{cell:>12}" for cell in cells)
    for name, image in {image["file"]: image for image in report["per_image"]}.items():
        what = image["class_name"] or image["returns"] or ("" if image["class"] is None else f"class {image['class']}")
        yield f"{name}: {what}"
    odd = (("retries", "sent again"), ("fallbacks", "finished at the edge"), ("lost", "lost"))
    notes = [f"{report[key]} {what}" for key, what in odd if report[key]]
    if report["goodput_images_per_s"]:
        notes.insert(0, f"{report['goodput_images_per_s']:.2f} images/s")
    yield "; ".join(notes)
    yield from (f"skipped {one['file']}: {one['reason']}" for one in report["skipped"])


def _tell(what: str) -> None:
    """Progress, on a terminal alone."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{what}")
        sys.stderr.flush()


def _complain(message: str, code: int) -> int:
    complain(f"lmos-edge: {one_line(message)}")
    return code
