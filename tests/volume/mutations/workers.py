"""Read damaged inputs in processes that may die, run wild or leave things behind, and say which did."""

from __future__ import annotations

import ctypes
import faulthandler
import importlib
import multiprocessing
import os
import pkgutil
import resource
import shutil
import signal
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

import ctatlas.volume
from ctatlas.errors import CtatlasError
from ctatlas.volume import read, scans_in
from ctatlas.volume.reading_masks import read_segmentation
from tests.volume.mutations.mask_oracle import wrong_masks
from tests.volume.mutations.mask_seeds import drawn_on
from tests.volume.mutations.mutate import SECRET, Mutation
from tests.volume.mutations.oracle import wrong
from tests.volume.mutations.seeds import SHAPE

CPU_SECONDS = 20  # of one input; more is a hang
WALL_SECONDS = 180  # of one input on a busy machine
MEMORY = 1536 * 2**20  # really used, more than the process had before
ADDRESSES = 6 * 2**30  # asked for and perhaps never touched: an element of DICOM may claim 4 GiB and be read as it is
BATCH = 100

Make = Callable[[int], Mutation]


@dataclass(frozen=True)
class Failure:
    """What no damaged input may cause."""

    number: int
    seed: str
    what: str
    why: str

    def __str__(self) -> str:
        return f"{self.number} ({self.seed}: {self.what}): {self.why}"


class Hang(BaseException):
    """Raised where an input takes too long, past every `except Exception`."""


def run(numbers: Iterable[int], make: Make, jobs: int = 1) -> tuple[list[Failure], dict[str, int]]:
    """Try the inputs that `make` makes of numbers; return what went wrong, and how many were read and refused."""
    batches = _batches(list(numbers))
    failures: list[Failure] = []
    counts: dict[str, int] = {}
    crew = [_Worker(make) for _ in range(jobs)]
    try:
        while batches or any(worker.busy for worker in crew):
            for worker in crew:
                if not worker.busy and batches:
                    worker.give(batches.pop())
                left = worker.look(failures, counts)
                if left is not None:  # it is lost; another one takes over after the number that killed it
                    batches += [left] if left else []
                    crew[crew.index(worker)] = _Worker(make)
            time.sleep(0.02)
    finally:
        for worker in crew:
            worker.stop()
    return sorted(failures, key=lambda failure: failure.number), counts


def _batches(numbers: list[int]) -> list[list[int]]:
    return [numbers[at : at + BATCH] for at in range(0, len(numbers), BATCH)][::-1]


class _Worker:
    """One process, and what it was given."""

    def __init__(self, make: Make) -> None:
        context = multiprocessing.get_context("fork")
        self.make, self.pending = make, list[int]()
        self.folder = Path(tempfile.mkdtemp(prefix="mutations-"))
        self.end, far = context.Pipe()
        self.process = context.Process(target=_work, args=(far, make, self.folder), daemon=True)
        self.process.start()
        far.close()
        self.since = time.monotonic()

    @property
    def busy(self) -> bool:
        return bool(self.pending)

    def give(self, numbers: list[int]) -> None:
        self.pending, self.since = numbers, time.monotonic()
        self.end.send(numbers)

    def look(self, failures: list[Failure], counts: dict[str, int]) -> list[int] | None:
        """Take in results; return what is left of a batch when the process is lost."""
        try:
            while self.end.poll():
                outcome = self.end.recv()
                self.since = time.monotonic()
                self.pending = self.pending[1:]
                if isinstance(outcome, Failure):
                    failures.append(outcome)
                else:
                    counts[outcome] = counts.get(outcome, 0) + 1
        except EOFError:
            self.process.join()
            return self._lost(failures, f"the process died: exit code {self.process.exitcode}")
        if self.busy and time.monotonic() - self.since > WALL_SECONDS:
            self.process.kill()
            return self._lost(failures, f"hangs for {WALL_SECONDS} s")
        return None

    def _lost(self, failures: list[Failure], why: str) -> list[int]:
        case = self.make(self.pending[0])
        failures.append(Failure(case.number, case.seed.name, case.what, why))
        self.stop()
        return self.pending[1:]

    def stop(self) -> None:
        self.process.kill()
        self.process.join()
        self.end.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def _work(end: Connection, make: Make, folder: Path) -> None:
    """Do batches until the other end is gone."""
    place = _place(folder)
    faulthandler.disable()
    _leave_small_stack()
    warnings.simplefilter("error")
    signal.signal(signal.SIGPROF, _too_long)
    _let_floods_be_seen()
    _limit_memory()
    with np.errstate(over="warn", divide="warn", invalid="warn"):
        while True:
            for number in end.recv():
                end.send(attempt(make(number), place))


class _SignalStack(ctypes.Structure):
    """The C library's `stack_t`."""

    _fields_ = (("start", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


def _leave_small_stack() -> None:
    """Take signals on the ordinary stack: that of faulthandler is too small once OpenVINO has asked for AMX."""
    disabled = 2  # SS_DISABLE
    ctypes.CDLL(None).sigaltstack(ctypes.byref(_SignalStack(None, disabled, 0)), None)


def _place(folder: Path) -> Path:
    """Make the surroundings of an input: its folder, one for temporary files, a secret beside."""
    (folder / "tmp").mkdir(exist_ok=True)
    for name in ("outside.raw", "outside"):
        (folder / name).write_bytes(np.full(SHAPE, SECRET, np.int16).tobytes())
    tempfile.tempdir = str(folder / "tmp")
    return folder


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * os.sysconf("SC_PAGESIZE") + ADDRESSES,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _let_floods_be_seen() -> None:
    """Take MemoryError off the lists of what readers say in a line: a limit that was not checked shall show here."""
    for _, name, _ in pkgutil.walk_packages(ctatlas.volume.__path__, "ctatlas.volume."):
        module = importlib.import_module(name)
        for listed in {"parser_errors", "damage"} & vars(module).keys():
            setattr(module, listed, partial(_but_memory, vars(module)[listed]))
        if "_DAMAGE" in vars(module):
            vars(module)["_DAMAGE"] = _but_memory(lambda module=module: vars(module)["_DAMAGE"])


def _but_memory(listed: Callable[[], tuple[type[Exception], ...]]) -> tuple[type[Exception], ...]:
    return tuple(kind for kind in listed() if kind is not MemoryError)


def _resident(word: str) -> int:
    """Return what this process holds (VmRSS) or held at most (VmHWM) in memory, in bytes."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition(f"{word}:")[2].split()[0]) * 1024


def _too_long(*_: object) -> None:
    raise Hang


def attempt(case: Mutation, folder: Path) -> str | Failure:
    """Read one damaged input; return how that went."""
    inside = folder / "in" / "case"
    inside.mkdir(parents=True)
    for name, content in case.files.items():
        (inside / name).parent.mkdir(parents=True, exist_ok=True)
        (inside / name).write_bytes(content)
    before = _everything(folder)
    Path("/proc/self/clear_refs").write_text("5")  # forget the largest size so far
    held = _resident("VmRSS")
    try:
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
        try:
            outcome = _read(case, inside / case.seed.entry)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        if not outcome and (
            strange := _everything(folder) ^ before | {str(path) for path in Path("/tmp").glob("outside*")}
        ):
            outcome = f"leaves or takes away files: {sorted(strange)[:3]}"
    except Hang:
        outcome = f"takes more than {CPU_SECONDS} s"
    except CtatlasError as refusal:
        odd, line = _everything(folder) ^ before, str(refusal)
        outcome = "refused" if not odd and len(line) < 4100 else f"leaves {sorted(odd)[:3]}, says {len(line)} letters"
    except BaseException as error:  # noqa: BLE001
        outcome = f"{type(error).__name__}: {str(error)[:150]} at {_where(error)}"
    finally:
        shutil.rmtree(folder / "in", ignore_errors=True)
    if (more := _resident("VmHWM") - held) > MEMORY:
        outcome = f"takes {more / 2**20:.0f} MiB"
    return outcome or "read" if outcome in ("", "refused") else Failure(case.number, case.seed.name, case.what, outcome)


def _read(case: Mutation, entry: Path) -> str:
    """Take the input as a command would."""
    if case.seed.task.startswith("masks"):
        scan = drawn_on() if case.seed.task == "masks-on-scan" else None
        return judged(wrong_masks, case, read_segmentation(entry, scan=scan))
    if case.number % 3 == 0:
        for source in scans_in(entry)[:3]:
            if problem := judged(wrong, case, source.read()):
                return problem
        return ""
    return judged(wrong, case, read(entry))


def judged(oracle: Callable[[Mutation, Any], str], case: Mutation, found: object) -> str:
    """Ask an oracle, whose libraries may warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return oracle(case, found)


def _everything(folder: Path) -> set[str]:
    return {f"{top}/{name}" for top, folders, files in os.walk(folder) for name in (*folders, *files)}


def _where(error: BaseException) -> str:
    """Return the innermost line of ctatlas that the error went through, and the innermost of all."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if f"{os.sep}ctatlas{os.sep}" in frame.filename]
    return " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in (frames[-1], *reversed(ours[-3:])))
