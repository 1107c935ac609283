"""What one step needs for one case, and the key that tells whether it was done before."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

import ctatlas
from ctatlas.errors import CtatlasError, ScanError
from ctatlas.hashing import sha256_file, sha256_json
from ctatlas.progress import Progress

Work = Callable[[Path, Progress], Mapping[str, object]]


@dataclass(frozen=True)
class Task:
    """One step on one case: a folder to fill, and all that decides what comes into it.

    Attributes
    ----------
    case : str
        A name for people, and in tables.
    folder : Path
        Where the result goes; whole or absent at any instant.
    work : callable
        Fills the folder it is given and returns a summary that JSON can say. Picklable, to run in another process.
    step, version : str, int
        The kind of work; the version is raised whenever the same inputs and parameters would give other files.
    inputs : sequence of Path
        Files whose content decides the result.
    parameters : mapping
        Everything else that decides it, in words of JSON: model and weights, options, seed.
    makes : sequence of str
        The files that `work` makes, relative to the folder, so that nobody else's are replaced.
    bytes_about : int
        What they will take, for plans; 0 where nobody knows.
    """

    case: str
    folder: Path
    work: Work
    step: str
    version: int
    inputs: Sequence[Path] = ()
    parameters: Mapping[str, object] = field(default_factory=dict)
    makes: Sequence[str] = ()
    bytes_about: int = 0

    @cached_property
    def content(self) -> str:
        """Hash the inputs' names and bytes."""
        try:
            return sha256_json([[path.name, sha256_file(path)] for path in self.inputs])
        except OSError as error:
            raise _unreadable(error) from None

    @cached_property
    def stamp(self) -> str:
        """Hash the inputs' places, sizes and times: unchanged means that the content need not be read again."""
        try:
            facts = [(str(path.resolve()), path.stat()) for path in self.inputs]
        except OSError as error:
            raise _unreadable(error) from None
        return sha256_json([[name, stat.st_size, stat.st_mtime_ns] for name, stat in facts])

    @property
    def input_bytes(self) -> int:
        """Count the bytes that the task reads."""
        return sum(path.stat().st_size for path in self.inputs)

    def is_answered_by(self, record: Mapping[str, object]) -> bool:
        """Tell whether the result that left this record is what the task would give."""
        before = record.get("inputs")
        if not isinstance(before, dict):
            return False
        content = before.get("sha256") if before.get("stamp") == self.stamp else self.content
        return record.get("key") == self._key(content)

    def record(self) -> dict[str, object]:
        """Say what is done, for `run.json`; the same task gives the same words, whenever it runs."""
        return {
            "case": self.case,
            "key": self._key(self.content),
            "step": self.step,
            "step_version": self.version,
            "parameters": dict(self.parameters),
            "inputs": {
                "sha256": self.content,
                "stamp": self.stamp,
                "n_files": len(self.inputs),
                "bytes": self.input_bytes,
            },
            "ctatlas": ctatlas.__version__,
        }

    def _key(self, content: object) -> str:
        return sha256_json([self.step, self.version, dict(self.parameters), content])


def refused_task(case: str, folder: Path, error: CtatlasError, *, step: str, version: int) -> Task:
    """Return a task that fails with an error that is known before, so that its case is a row among the failures."""
    return Task(case, folder, partial(_refuse, error), step, version)


def _refuse(error: CtatlasError, folder: Path, progress: Progress) -> Mapping[str, object]:  # noqa: ARG001 - every work's
    raise error


def _unreadable(error: OSError) -> ScanError:
    return ScanError(f"{error.filename}: can't be read ({error.strerror}); check the path and its permission")
