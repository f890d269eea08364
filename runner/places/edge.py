"""`run_plan`: a folder of pictures through a connected split, and a report of every stage."""

from __future__ import annotations

from dataclasses import replace
from typing import Unpack

from lmos_opt.errors import InputError, LmosError
from lmos_opt.plan import Plan, check_runnable
from lmos_opt.processes.signals import Held, in_one_piece
from lmos_opt.units import counted
from runner.client.pipeline import depth_for
from runner.images import find_images
from runner.places.checked import patient_with
from runner.places.comparing import compare
from runner.places.connected import ConnectedSplit, Source
from runner.places.options import RunKeywords, RunOptions
from runner.places.saving import SavedOutputs
from runner.watching.report import Outcome, RunReport, SkippedPicture

ORDINARY_RUN = RunOptions()


def run_plan(plan: Plan, server: tuple[str, int], options: RunOptions = ORDINARY_RUN, **changes: Unpack[RunKeywords]) -> RunReport:
    """Execute a plan and report what was measured. `server` is (host, port).

    The keywords are the fields of `runner.places.options.RunOptions`, among them `images`, `n`, `shape`, `networks`, `access`,
    `pipelined`, `adapt` and `observers`. Each replaces the field of `options` with its name. If all layers run at the edge, the
    server is not contacted.

    Raises InputError for a plan or pictures that cannot be used, RunnerError if the server cannot be reached or refuses
    before the first image. After that the report says how every image ended. KeyboardInterrupt ends the run early, and so do an
    input that cannot be read any more and a file of `save_outputs` that cannot be written; the report says so.
    """
    with in_one_piece() as held:
        return run_held(plan, server, replace(options, **changes), held)


def run_held(plan: Plan, server: tuple[str, int], options: RunOptions, held: Held) -> RunReport:
    """As `run_plan`, in a block that holds signals (`held`): a signal after the last image does not prevent the report.

    Raises the errors of `run_plan`.
    """
    progress = options.progress or (lambda what, done, total: None)
    with held.let_through():
        network = check_runnable(plan, "plan")
        if options.n is not None and options.n < 1:
            raise InputError("images", f"{counted(options.n, 'image')} cannot be run; expected at least 1")
        pictures = find_images(network, options.images, options.n, skip_bad=options.skip_bad_images)
        n = len(pictures) if options.n is None else options.n
        saved = None if options.save_outputs is None else SavedOutputs(options.save_outputs)
        source = Source(pictures, n, options.pipelined, lambda what: progress(what, 0, n), None if saved is None else saved.add)
        split = ConnectedSplit(plan, server, options, source).open()
    outcome = Outcome(results=(), edge_memory=(), skipped=[SkippedPicture(file=one.file, reason=one.reason)
                                                           for one in pictures.skipped])  # fmt: skip
    with split:
        try:
            with held.let_through():
                split.run(pictures, n, depth_for(plan.n_places) if options.pipelined else 1, progress)
                compared = compare(split.route, pictures, options.compared, split.pipeline.numbers,
                                   options.timeouts or patient_with(plan))  # fmt: skip
                outcome = replace(outcome, compared=compared)
        except KeyboardInterrupt:
            split.interrupt()
        except LmosError as error:  # of an input that has gone, or of a file of outputs
            if not (split.pipeline.results or split.pipeline.failed):
                raise
            split.interrupt(str(error))
    try:
        if saved is not None:
            saved.close()
    except LmosError as error:
        split.interrupt(str(error))
    if held.take():
        split.interrupt()
    return split.report_of(outcome)
