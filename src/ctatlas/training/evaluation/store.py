"""What takes long to draw, kept in a folder under a hash of all that decides it; the folder may go at any time."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from ctatlas.atomic import whole_file
from ctatlas.hashing import sha256_file, sha256_json

# Whose code and tables decide what is drawn.
SYNTHESIS, TRAINING = "ctatlas.synthesis", "ctatlas.training"
MODULES = (
    "ctatlas.training.label_map_members",
    "ctatlas.training.scans",
    "ctatlas.training.evaluation.cases",
    "ctatlas.training.evaluation.position",
)


@dataclass(frozen=True, slots=True)
class Store:
    """A folder of drawn things."""

    folder: Path

    def arrays(self, facts: object, make: Callable[[], Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
        """Return arrays by name: those kept under the facts, or else those made now.

        Parameters
        ----------
        facts : object
            Plain types: what decides the arrays, but for the code.
        make : callable
        """
        path = self._path(facts, ".npz")
        if not path.exists():
            with whole_file(path) as file:
                np.savez_compressed(file, **make())  # type: ignore[arg-type]  # savez names its own options
        with np.load(path) as stored:
            return {name: stored[name] for name in stored}

    def figures(self, facts: object, make: Callable[[], Mapping[str, float]]) -> dict[str, float]:
        """Return numbers by name: those kept under the facts, or else those made now."""
        path = self._path(facts, ".json")
        if not path.exists():
            with whole_file(path) as file:
                file.write(json.dumps(dict(make())).encode())
        found: dict[str, float] = json.loads(path.read_text())
        return found

    def _path(self, facts: object, suffix: str) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder / f"{sha256_json([facts, drawing_code()])[:24]}{suffix}"


@cache
def drawing_code() -> str:
    """Hash the code and the tables that draw: what was kept by other code is not found again."""
    synthesis = _file(SYNTHESIS).parent
    drawing = sorted(path for path in synthesis.rglob("*") if path.suffix in (".py", ".csv", ".toml"))
    maps = sorted((_file(TRAINING).parent / "data").glob("label_map*.csv"))
    return sha256_json([[path.name, sha256_file(path)] for path in [*drawing, *map(_file, MODULES), *maps]])


def _file(module: str) -> Path:
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(module)
    return Path(spec.origin)
