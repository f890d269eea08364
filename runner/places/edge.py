"""`run_plan`: a folder of pictures through a connected split, and a report of every stage."""

from __future__ import annotations

from dataclasses import replace
from typing import Unpack

from lmos_opt.errors import DiskFullError, InputError
from lmos_opt.plan import Plan, check_runnable
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
    """Execute a plan and report what was measured. A keyword replaces the field of `options` with the same name.

    If all layers run at the edge, the server is not contacted.

    Raises InputError for a plan or pictures that cannot be used, RunnerError if the server cannot be reached or refuses
    before the first image. After that the report says how every image ended. KeyboardInterrupt ends the run early, and so does a
    full disk under `save_outputs`; the report says so.
    """
    options = replace(options, **changes)
    network = check_runnable(plan, "plan")
    if options.n is not None and options.n < 1:
        raise InputError("images", f"{counted(options.n, 'image')} cannot be run; expected at least 1")
    pictures = find_images(network, options.images, options.n, skip_bad=options.skip_bad_images)
    n = len(pictures) if options.n is None else options.n
    saved = None if options.save_outputs is None else SavedOutputs(options.save_outputs)
    progress = options.progress or (lambda what, done, total: None)
    source = Source(pictures, n, options.pipelined, lambda what: progress(what, 0, n), None if saved is None else saved.add)
    split = ConnectedSplit(plan, server, options, source).open()
    outcome = Outcome(results=(), edge_memory=(), skipped=[SkippedPicture(file=one.file, reason=one.reason)
                                                           for one in pictures.skipped])  # fmt: skip
    with split:
        try:
            split.run(pictures, n, depth_for(plan.n_places) if options.pipelined else 1, progress)
        except KeyboardInterrupt:
            split.interrupt()
        except DiskFullError as error:
            split.interrupt(str(error))
        else:
            timeouts = options.timeouts or patient_with(plan)
            outcome = replace(outcome, compared=compare(split.route, pictures, options.compared, split.pipeline.numbers, timeouts))
    try:
        if saved is not None:
            saved.close()
    except DiskFullError as error:
        split.interrupt(str(error))
    return split.report_of(outcome)
