"""Ctrl-C while HiGHS computes: it is told, ends at once, and the handler that was there is called afterwards."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

import pyomo.environ as pyo
import pytest

from lmos_opt.processes.signals import in_one_piece
from lmos_opt.programs.compiling import compile_model
from lmos_opt.programs.milp import LinearForm, Milp
from lmos_opt.solvers import Status
from lmos_opt.solvers.highs import Highs

LONG_S = 120.0
"""Longer than any test may wait; what is not interrupted ends then, with another status."""


def market_split(n: int = 60, rows: int = 7) -> tuple[Milp, LinearForm]:
    """A market split of Cornuejols and Dawande: small, and beyond what branch and bound can do."""
    drawn = Random(5)
    model = pyo.ConcreteModel()
    model.x = pyo.Var(range(n), domain=pyo.Binary)
    model.over, model.under = (pyo.Var(range(rows), bounds=(0, 5000)) for _ in range(2))
    weights = [[drawn.randint(0, 99) for _ in range(n)] for _ in range(rows)]
    model.split = pyo.Constraint(range(rows), rule=lambda m, k: sum(
        w * m.x[j] for j, w in enumerate(weights[k])) + m.over[k] - m.under[k] == sum(weights[k]) // 2)
    model.off = pyo.Objective(expr=sum(model.over[k] + model.under[k] for k in range(rows)))
    milp, (off,), _ = compile_model(model, [model.off])
    return milp, off


@contextmanager
def handled_by(handler: object) -> Iterator[None]:
    before = signal.signal(signal.SIGINT, handler)  # type: ignore[arg-type]
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def ctrl_c_inside() -> Iterator[None]:
    """Ctrl-C once, a second after the solve inside the block has begun, however late that is."""
    before, over = signal.getsignal(signal.SIGINT), threading.Event()

    def press() -> None:
        while signal.getsignal(signal.SIGINT) is before and not over.is_set():
            over.wait(0.01)
        if not over.wait(1.0):
            os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_a_long_solve_ends_and_the_next_one_is_as_ever() -> None:
    milp, off = market_split()
    noted: list[int] = []
    session = Highs(program_limit_s=LONG_S).open(milp, [])
    with handled_by(lambda number, frame: noted.append(number)):
        with ctrl_c_inside():
            outcome = session.solve(off, {}, [], 0)
        assert (outcome.status, noted) == (Status.INTERRUPTED, [signal.SIGINT])
        with ctrl_c_inside():
            assert session.solve(off, {}, [], 0).status is Status.INTERRUPTED
        assert noted == [signal.SIGINT] * 2  # the first one was forgotten, and HiGHS went on until the second


def test_ctrl_c_is_a_keyboard_interrupt_as_elsewhere() -> None:
    milp, off = market_split()
    session = Highs(program_limit_s=LONG_S).open(milp, [])
    with handled_by(signal.default_int_handler), ctrl_c_inside(), pytest.raises(KeyboardInterrupt):
        session.solve(off, {}, [], 0)


def test_the_handler_that_was_there_is_there_again() -> None:
    noted: list[int] = []

    def handler(number: int, frame: object) -> None:
        noted.append(number)

    with handled_by(handler):
        with in_one_piece() as held:
            assert not held.came
            signal.raise_signal(signal.SIGINT)
            assert (held.came, noted) == (True, [])
        assert (noted, signal.getsignal(signal.SIGINT)) == ([signal.SIGINT], handler)
        with in_one_piece() as held:
            assert not held.came
        with pytest.raises(ValueError, match="wrong"), in_one_piece():
            raise ValueError("wrong")
        assert (noted, signal.getsignal(signal.SIGINT)) == ([signal.SIGINT], handler)


def test_what_ignores_ctrl_c_goes_on_to_do_so() -> None:
    with handled_by(signal.SIG_IGN), in_one_piece() as held:
        signal.raise_signal(signal.SIGINT)
        assert (held.came, signal.getsignal(signal.SIGINT)) == (False, signal.SIG_IGN)


def test_another_thread_leaves_signals_alone() -> None:
    before, inside = signal.getsignal(signal.SIGINT), []

    def work() -> None:
        with in_one_piece():
            inside.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert inside == [before]
