"""What joblib's processes leave behind when a sweep ends early: nothing, and no line."""

from __future__ import annotations

import warnings

from lmos_opt.sweeps.workers import answers


def lock_of_pyomo(number: int) -> tuple[int, str]:
    """The kind of Pyomo's lock here: one of `multiprocessing` has a file."""
    from pyomo.common import dependencies

    return number, type(dependencies.capture_output_lock).__module__


def test_workers_share_no_lock_and_answers_that_nobody_takes_are_no_warning():
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        found = answers(lock_of_pyomo, range(60), 2, None)
        first = [next(found) for _ in range(2)]
        found.close()
    assert {kind for _, kind in first} == {"_thread"}
    assert not [str(one.message) for one in seen]
    assert sorted(number for number, _ in answers(lock_of_pyomo, range(5), 2, None)) == [*range(5)]
