"""`lmos ui`: a page on this machine where sliders move the front and the choice."""

from __future__ import annotations

import sys

from lmos.output import activity, err
from lmos.pages.ui.answers import Answers
from lmos.pages.ui.server import Server
from lmos.questions import Question, read
from lmos_opt.errors import InputError


def run(question: Question, port: int) -> None:
    """Serve until Ctrl-C; the address is printed on standard output. Raises what reading the source raises."""
    if question.names != ["latency", "memory"]:
        raise InputError("--objectives", f"{question.objectives!r}: the page shows latency and memory")
    answers = Answers(read(question).instance, question.model, question.proper_split, question.solver)
    with activity("tracing the first front"):  # imports and compiles what every answer needs, and finds out what is wrong
        about = answers.about()
        start = {name: about[name] for name in ("bandwidth_mbps", "rtt_ms")} | {"edge_speed": 1.0, "server_speed": 1.0}
        answers.at(start, "knee")
    with Server(answers, port) as server:
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        err().print("the page answers on this machine alone; Ctrl-C ends it")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            err().print("ended")
