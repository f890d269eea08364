"""`lmos ui`: a page on this machine where sliders move the front and the choice."""

from __future__ import annotations

import sys

from lmos.front_request import FrontRequest, read
from lmos.output import activity, err
from lmos.pages.ui.answers import SliderAnswers
from lmos.pages.ui.server import Server
from lmos_opt.errors import InputError


def run(request: FrontRequest, port: int) -> None:
    """Serve until Ctrl-C; the address is printed on standard output. Raises what reading the source raises."""
    if request.names != ["latency", "memory"]:
        raise InputError("--objectives", f"{request.objectives!r}: the page shows latency and memory")
    answers = SliderAnswers(read(request).instance, request.model, request.proper_split, request.solver)
    with activity("finding the first front"):  # imports and compiles what every answer needs, and finds out what is wrong
        answers.at(answers.as_given, "knee")
    with Server(answers, port) as server:
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        err().print("the page answers on this machine alone; Ctrl-C ends it")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            err().print("ended")
