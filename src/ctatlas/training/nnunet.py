"""nnU-Net's own programs: planning and training are theirs.

They are looked for beside the Python that runs, then on PATH, so that they may live in an environment of their own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ctatlas.errors import InstallError, ModelError, OutputError

PLAN = "nnUNetv2_plan_and_preprocess"
TRAIN = "nnUNetv2_train"
_LAST_LINES = 40


@dataclass(frozen=True, slots=True)
class Folders:
    """The three folders that nnU-Net keeps everything in."""

    raw: Path
    preprocessed: Path
    results: Path

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables that name them."""
        return {name: str(getattr(self, part)) for part, name in _VARIABLES.items()}


_VARIABLES = {"raw": "nnUNet_raw", "preprocessed": "nnUNet_preprocessed", "results": "nnUNet_results"}


def folders(home: Path | None = None, environment: Mapping[str, str] = os.environ) -> Folders:
    """Return nnU-Net's folders, made where missing: those its variables name, else those of these names in `home`.

    Raises
    ------
    InstallError
        When a variable is not set, and no `home` is given.
    OutputError
        When a folder can't be made.
    """
    unset = [name for name in _VARIABLES.values() if not environment.get(name)]
    if unset and home is None:
        raise InstallError(f"{', '.join(unset)} not set; export them, or name by --home a folder to keep them in")
    found = {part: Path(environment.get(name) or (home or Path()) / name) for part, name in _VARIABLES.items()}
    for path in found.values():
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{path}: can't be made ({error.strerror})") from None
    return Folders(**{part: path.resolve() for part, path in found.items()})


def program(name: str) -> str:
    """Return one of nnU-Net's programs.

    Raises
    ------
    InstallError
        When nnU-Net is not installed.
    """
    beside = str(Path(sys.executable).parent)
    found = shutil.which(name, path=beside) or shutil.which(name)
    if found is None:
        raise InstallError(
            f"{name} is not there: pip install 'ctatlas[nnunet]', or put on PATH the programs of an environment that "
            "has nnU-Net"
        )
    return found


def call(words: Sequence[str], where: Folders, hear: Callable[[str], None]) -> None:
    """Run one of nnU-Net's programs to its end; each line that it says is handed on.

    Raises
    ------
    ModelError
        When it ends with an error: its last words.
    """
    environment = os.environ | where.environment
    last: deque[str] = deque(maxlen=_LAST_LINES)
    with subprocess.Popen(
        [program(words[0]), *words[1:]],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        for line in process.stdout or ():
            if line.strip():
                last.append(line.strip())
                hear(line.rstrip("\n"))
    if process.returncode:
        why = next((line for line in reversed(last) if "Error" in line), last[-1] if last else "it said nothing")
        raise ModelError(f"{words[0]} ended with code {process.returncode}: {why}")
