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

from lmos_opt.processes.interrupts import Interrupts
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
def ctrl_c_after(seconds: float) -> Iterator[None]:
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def test_a_long_solve_ends_and_the_next_one_is_as_ever() -> None:
    milp, off = market_split()
    noted: list[int] = []
    session = Highs(program_limit_s=LONG_S).open(milp, [])
    with handled_by(lambda number, frame: noted.append(number)):
        with ctrl_c_after(1.0):
            outcome = session.solve(off, {}, [], 0)
        assert (outcome.status, noted) == (Status.INTERRUPTED, [signal.SIGINT])
        with ctrl_c_after(1.0):
            assert session.solve(off, {}, [], 0).status is Status.INTERRUPTED
        assert noted == [signal.SIGINT] * 2  # the first one was forgotten, and HiGHS went on until the second


def test_ctrl_c_is_a_keyboard_interrupt_as_elsewhere() -> None:
    milp, off = market_split()
    session = Highs(program_limit_s=LONG_S).open(milp, [])
    with handled_by(signal.default_int_handler), ctrl_c_after(1.0), pytest.raises(KeyboardInterrupt):
        session.solve(off, {}, [], 0)


def test_the_handler_that_was_there_is_there_again() -> None:
    noted: list[int] = []

    def handler(number: int, frame: object) -> None:
        noted.append(number)

    interrupts = Interrupts()
    with handled_by(handler):
        with interrupts.heeded():
            assert not interrupts.came
            signal.raise_signal(signal.SIGINT)
            assert (interrupts.came, noted) == (True, [])
        assert (noted, signal.getsignal(signal.SIGINT)) == ([signal.SIGINT], handler)
        with interrupts.heeded():
            assert not interrupts.came
        with pytest.raises(ValueError, match="wrong"), interrupts.heeded():
            raise ValueError("wrong")
        assert (noted, signal.getsignal(signal.SIGINT)) == ([signal.SIGINT], handler)


def test_what_ignores_ctrl_c_goes_on_to_do_so() -> None:
    interrupts = Interrupts()
    with handled_by(signal.SIG_IGN), interrupts.heeded():
        signal.raise_signal(signal.SIGINT)
        assert (interrupts.came, signal.getsignal(signal.SIGINT)) == (False, signal.SIG_IGN)


def test_another_thread_leaves_signals_alone() -> None:
    before, inside = signal.getsignal(signal.SIGINT), []

    def work() -> None:
        with Interrupts().heeded():
            inside.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert inside == [before]
