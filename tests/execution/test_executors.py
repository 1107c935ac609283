"""Time-outs, retries, workers that die or hang, and an executor of somebody else's."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ctatlas.errors import CtatlasError, ScanError
from ctatlas.execution import Outcome, Patience, Performer, Task, perform, perform_all, perform_one, whole_record

if TYPE_CHECKING:
    from ctatlas.progress import Progress


def write(folder: Path, progress: Progress) -> Mapping[str, object]:
    progress.stage("write", 1)
    (folder / "text").write_text("text")
    return {"pid": os.getpid()}


def take(seconds: float, folder: Path, progress: Progress) -> Mapping[str, object]:
    progress.stage("think", 1)
    (folder / "half").write_text("half")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            time.sleep(0.01)
        except Exception:  # noqa: BLE001 - what careless code does
            continue
    return {}


def hang_in_compiled_code(folder: Path, progress: Progress) -> Mapping[str, object]:
    """Deaf to the alarm, as a C function that never returns."""
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    return take(600, folder, progress)


def die_in_the_first(lives: int, log: Path, folder: Path, progress: Progress) -> Mapping[str, object]:
    if tries(log) < lives:
        os._exit(9)
    return write(folder, progress)


def fail_in_the_first(lives: int, log: Path, folder: Path, progress: Progress) -> Mapping[str, object]:
    if tries(log) < lives:
        raise ScanError("not yet")
    return write(folder, progress)


def tries(log: Path) -> int:
    """Return how often this was asked before."""
    with log.open("a") as file:
        file.write("x")
    return log.stat().st_size - 1


@cache
def model(log: Path) -> str:
    """Load a model: count it."""
    with log.open("a") as file:
        file.write(f"{os.getpid()}\n")
    return "weights"


def use_model(log: Path, folder: Path, progress: Progress) -> Mapping[str, object]:
    model(log)
    time.sleep(0.05)  # so that no worker takes all
    return write(folder, progress)


def tasks(root: Path, **works: object) -> list[Task]:
    return [Task(name, root / name, work, step="t", version=1) for name, work in works.items()]  # type: ignore[arg-type]


def states(outcomes: Iterator[Outcome]) -> dict[str, str]:
    return {outcome.case: outcome.state for outcome in outcomes}


class TestTimeOut:
    @pytest.mark.parametrize("workers", [1, 2])
    def test_a_case_that_takes_too_long_is_given_up_and_leaves_nothing(self, tmp_path: Path, workers: int) -> None:
        wanted = tasks(tmp_path, slow=partial(take, 60), quick=write)
        outcomes = {o.case: o for o in perform_all(wanted, workers=workers, patience=Patience(timeout_s=1))}
        assert (outcomes["slow"].state, outcomes["slow"].stage) == ("failed", "think")
        assert "took longer than 1 s" in outcomes["slow"].reason
        assert outcomes["quick"].state == "done"
        assert sorted(path.name for path in tmp_path.iterdir()) == ["quick"]

    def test_the_only_case_there_is_says_so(self, tmp_path: Path) -> None:
        (slow,) = tasks(tmp_path, slow=partial(take, 60))
        with pytest.raises(CtatlasError, match="slow: took longer than 1 s"):
            perform_one(slow, patience=Patience(timeout_s=1))
        assert list(tmp_path.iterdir()) == []

    def test_afterwards_no_alarm_is_set(self, tmp_path: Path) -> None:
        before = signal.getsignal(signal.SIGALRM)
        list(perform_all(tasks(tmp_path, a=write), patience=Patience(timeout_s=100)))
        assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
        assert signal.getsignal(signal.SIGALRM) == before

    def test_an_alarm_while_a_result_moves_into_place_lets_it_arrive(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rename = Path.rename

        def slow(path: Path, target: Path) -> Path:
            signal.raise_signal(signal.SIGALRM)
            return rename(path, target)

        monkeypatch.setattr(Path, "rename", slow)
        (outcome,) = perform_all(tasks(tmp_path, a=write), patience=Patience(timeout_s=100))
        assert outcome.state == "failed"
        assert whole_record(tmp_path / "a") is not None

    def test_what_hears_no_alarm_is_killed_and_costs_no_other(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("ctatlas.execution.executors._START_S", 8.0)
        wanted = tasks(tmp_path, deaf=hang_in_compiled_code, a=write, b=write)
        outcomes = {o.case: o for o in perform_all(wanted, workers=2, patience=Patience(timeout_s=1))}
        assert {case: o.state for case, o in outcomes.items()} == {"deaf": "failed", "a": "done", "b": "done"}
        assert "hung in compiled code" in outcomes["deaf"].reason


class TestRetries:
    @pytest.mark.parametrize(("retries", "state"), [(0, "failed"), (1, "failed"), (2, "done")])
    def test_what_failed_is_tried_again_so_often(self, tmp_path: Path, retries: int, state: str) -> None:
        wanted = tasks(tmp_path, bad=partial(fail_in_the_first, 2, tmp_path / "log"), good=write)
        (bad,) = (o for o in perform_all(wanted, patience=Patience(retries=retries)) if o.case == "bad")
        assert bad.state == state
        assert (tmp_path / "log").stat().st_size == retries + 1

    def test_the_only_case_there_is_is_tried_again_too(self, tmp_path: Path) -> None:
        (bad,) = tasks(tmp_path, bad=partial(fail_in_the_first, 2, tmp_path / "log"))
        with pytest.raises(ScanError, match="not yet"):
            perform_one(bad, patience=Patience(retries=1))
        assert perform_one(bad, patience=Patience(retries=1)).state == "done"

    def test_each_is_told_of_once(self, tmp_path: Path) -> None:
        wanted = tasks(tmp_path, bad=partial(fail_in_the_first, 9, tmp_path / "log"), good=write)
        told = Counter(o.case for o in perform_all(wanted, patience=Patience(retries=3)))
        assert told == {"bad": 1, "good": 1}


class TestWorkers:
    def test_one_that_dies_costs_no_other_case(self, tmp_path: Path) -> None:
        deadly = partial(die_in_the_first, 99, tmp_path / "log")
        wanted = tasks(tmp_path / "out", a=write, deadly=deadly, b=write, c=write, d=write)
        outcomes = {o.case: o for o in perform_all(wanted, workers=2)}
        assert outcomes.pop("deadly").reason.startswith("a worker process died")
        assert {o.state for o in outcomes.values()} <= {"done", "there"}
        assert sorted(outcomes) == list("abcd")
        assert all(whole_record(tmp_path / "out" / case) for case in "abcd")

    def test_one_that_died_is_tried_once_more_alone(self, tmp_path: Path) -> None:
        deadly = partial(die_in_the_first, 1, tmp_path / "log")
        assert states(perform_all(tasks(tmp_path, a=deadly, b=write), workers=2))["a"] == "done"

    def test_a_model_is_loaded_once_by_each(self, tmp_path: Path) -> None:
        log = tmp_path / "log"
        wanted = tasks(tmp_path / "out", **{f"case{n}": partial(use_model, log) for n in range(8)})
        outcomes = list(perform_all(wanted, workers=2))
        loaded = log.read_text().split()
        assert len(loaded) == len(set(loaded)) <= 2
        assert {str(o.summary["pid"]) for o in outcomes} == set(loaded)


class Cluster:
    """Somebody else's executor: does the last first, one of them twice removed."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, float | None]] = []

    def outcomes(
        self, tasks: Sequence[Task], *, do: Performer, timeout_s: float | None, progress: Progress
    ) -> Iterator[Outcome]:
        self.asked.append((len(tasks), timeout_s))
        for task in reversed(tasks):
            try:
                yield do(task, progress)
            except CtatlasError as error:
                yield Outcome(task.case, task.folder, "failed", reason=str(error))


def test_any_executor_does_and_writes_the_same_bytes(tmp_path: Path) -> None:
    log, cluster = tmp_path / "log", Cluster()
    works = {"a": partial(take, 0), "b": partial(fail_in_the_first, 1, log), "c": partial(take, 0)}
    there = tasks(tmp_path / "there", **works)
    outcomes = list(perform_all(there, executor=cluster, patience=Patience(5, retries=1), do=perform))
    assert [outcome.case for outcome in outcomes] == ["c", "a", "b"]
    assert {outcome.state for outcome in outcomes} == {"done"}
    assert cluster.asked == [(3, 5), (1, 5)]
    list(perform_all(tasks(tmp_path / "here", **works)))
    for name in ("a/run.json", "c/half"):
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes()


def test_what_was_left_beside_a_whole_result_is_swept_up(tmp_path: Path) -> None:
    list(perform_all(tasks(tmp_path, a=write)))
    left = tmp_path / "a" / ".ctatlas-partial" / "replaced" / "old"
    left.parent.mkdir(parents=True)
    left.write_text("old")
    assert states(perform_all(tasks(tmp_path, a=write))) == {"a": "there"}
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["run.json", "text"]


@pytest.mark.parametrize(
    "text",
    [
        '{"whole": true, "files": {"../../thesis.txt": 4, "/etc/passwd": 1}}',
        '{"whole": true, "files": {"a\\u0000b": 4, "": 1, ".": 1, "..": 1}}',
        '{"whole": true, "files": {"run.json": 1, ".ctatlas-partial": 2}}',
        "[" * 100_000,
        '"whole"',
        "\udcff",
    ],
    ids=range(6),
)
def test_a_record_that_somebody_else_wrote_touches_nothing_outside(tmp_path: Path, text: str) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    folder = tmp_path / "out" / "a"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(text, errors="surrogateescape")
    assert states(perform_all(tasks(tmp_path / "out", a=write))) == {"a": "done"}
    assert (tmp_path / "thesis.txt").read_text() == "mine"
    assert sorted(path.name for path in folder.iterdir()) == ["run.json", "text"]
    assert whole_record(folder) is not None
