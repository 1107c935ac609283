from __future__ import annotations

import os

import pytest

from ctatlas.execution.spread import in_processes


def square(number: int) -> tuple[int, int]:
    return number**2, os.getpid()


def refuse_seven(number: int) -> int:
    if number == 7:
        raise OSError("no room for seven")
    return number


@pytest.mark.parametrize(("workers", "n_items"), [(1, 100), (2, 3), (2, 100)])
def test_results_come_in_the_order_of_the_items(workers: int, n_items: int) -> None:
    found = list(in_processes(square, range(n_items), workers=workers))
    assert [result for result, _ in found] == [number**2 for number in range(n_items)]
    is_here = {process == os.getpid() for _, process in found}
    assert is_here == {not (workers > 1 and n_items > 16)}


@pytest.mark.parametrize("workers", [1, 2])
def test_what_one_raises_ends_the_work(workers: int) -> None:
    found = []
    with pytest.raises(OSError, match="no room for seven"):
        found.extend(in_processes(refuse_seven, range(40), workers=workers))
