"""`lmos report`: a plan, a run's report or a front as one page."""

from __future__ import annotations

from pathlib import Path
from typing import cast, get_args

from lmos.output import activity, err
from lmos.pages.parts import check_page
from lmos.pages.summary.page import save_page
from lmos.pages.summary.subject import gather
from lmos_opt.errors import InputError
from lmos_opt.formulation.memory import MemoryModel
from lmos_opt.sources import Options


def run(file: Path, output: Path, source: str | None, options: Options, memory_model: str, select: str | None) -> None:
    """Raises InputError for a file, a source or a rule that cannot be used."""
    check_page(output)
    if memory_model not in get_args(MemoryModel):
        raise InputError("--memory-model", f"{memory_model!r} is not one of {', '.join(get_args(MemoryModel))}")
    with activity(f"making a page of {file}"):
        subject = gather(file, source, options, cast(MemoryModel, memory_model), select)
        if subject.plan is not None and (options != Options() or select is not None):
            raise InputError(str(file), "a plan has its own setting and choice; --edge to --memory and --select are for fronts")
        save_page(subject, output)
    said = "".join(f"; {words}" for words in (subject.missing, subject.note) if words)
    err().print(f"lmos: wrote {output}{said}", soft_wrap=True)
