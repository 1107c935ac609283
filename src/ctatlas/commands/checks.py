"""The single examinations of `ctatlas doctor`: each looks at one thing and never raises."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from packaging.requirements import Requirement

import ctatlas
from ctatlas.errors import CtatlasError, InstallError
from ctatlas.settings import settings

State = Literal["ok", "missing", "broken"]

# Modules that bring compiled code: importing them shows whether it runs on this machine.
_COMPILED = (
    "numpy",
    "scipy.ndimage",
    "onnxruntime",
    "cc3d",
    "fill_voids",
    "isal.igzip",
    "nibabel",
    "pydantic",
    "matplotlib.backends.backend_agg",
)
_SYNTAXES = (
    "JPEGBaseline8Bit",
    "JPEGLosslessSV1",
    "JPEGLSLossless",
    "JPEG2000Lossless",
    "HTJ2KLossless",
    "RLELossless",
)
_AT_LEAST_GB = 2.0  # a scan of 512 x 512 x 300 voxels with its masks and the network


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes
    ----------
    state : str
        "ok"; "missing" when only something optional is lost; "broken" when ctatlas can't segment like that.
    remedy : str
        What to do; empty when all is well.
    """

    name: str
    state: State
    found: str
    remedy: str = ""

    def as_dict(self) -> dict[str, str]:
        """Return the check in words of JSON."""
        return asdict(self)


def all_checks() -> Iterator[Check]:
    """Look at everything, in the order in which a person would mend it."""
    yield Check("ctatlas", "ok", f"{ctatlas.__version__} in {Path(ctatlas.__file__).parent}")
    yield Check("python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    yield from _packages()
    yield _compiled_code()
    yield _dicom_codecs()
    yield from _settings()
    yield from _backends()
    yield from _models()
    yield _threads()
    yield _memory()
    yield _folder("temporary files", Path(tempfile.gettempdir()), "set TMPDIR to a folder that can be written to")


def _packages() -> Iterator[Check]:
    """Compare the installed packages with what our own metadata ask for, each extra on its own."""
    faults: dict[str, list[str]] = {"": []}
    for requirement in map(Requirement, importlib.metadata.requires("ctatlas") or []):
        match = re.search(r"extra == ['\"]([\w-]+)['\"]", str(requirement.marker or ""))
        fault = _fault_of(requirement)
        faults.setdefault(match[1] if match else "", []).extend([fault] if fault else [])
    base = faults.pop("")
    yield Check("packages", "broken" if base else "ok", ", ".join(base) or "all there", _upgrade("ctatlas", base))
    for extra, lacking in sorted(faults.items()):
        state: State = "missing" if lacking else "ok"
        yield Check(f"extra {extra}", state, ", ".join(lacking) or "all there", _upgrade(f"ctatlas[{extra}]", lacking))


def _fault_of(requirement: Requirement) -> str:
    try:
        version = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return f"no {requirement.name}"
    fits = requirement.specifier.contains(version, prereleases=True)
    return "" if fits else f"{requirement.name} {version}, wanted {requirement.specifier}"


def _upgrade(what: str, faults: list[str]) -> str:
    return f"pip install --upgrade '{what}'" if faults else ""


def _compiled_code() -> Check:
    faults = []
    for module in _COMPILED:
        try:
            importlib.import_module(module)
        except ImportError as error:
            faults.append(f"{module}: {error}")
    if faults:
        return Check("compiled code", "broken", "; ".join(faults), "install what is named, or reinstall the package")
    return Check("compiled code", "ok", f"{len(_COMPILED)} modules load")


def _dicom_codecs() -> Check:
    try:
        from pydicom import uid
        from pydicom.pixels.decoders.base import get_decoder

        lacking = [name for name in _SYNTAXES if not get_decoder(getattr(uid, name)).is_available]
    except ImportError as error:
        return Check("DICOM", "missing", str(error), _upgrade("ctatlas", ["pydicom"]))
    if lacking:
        return Check("DICOM", "missing", f"can't read {', '.join(lacking)}", _upgrade("ctatlas", lacking))
    return Check("DICOM", "ok", f"reads uncompressed files and {', '.join(_SYNTAXES)}")


def _settings() -> Iterator[Check]:
    try:
        home = settings().home
    except CtatlasError as error:
        yield Check("settings", "broken", str(error), "mend the variable or the file")
        return
    yield Check("settings", "ok", f"caches in {home}")
    yield _folder("caches", home, "set CTATLAS_HOME to a folder that can be written to")


def _backends() -> Iterator[Check]:
    from ctatlas.models.kinds import backend, torch_backend

    for name, find in (("onnxruntime", backend), ("openvino", backend), ("torch", torch_backend)):
        try:
            find(name)
        except InstallError as error:  # an extra that is not installed
            yield Check(f"backend {name}", "missing", "not installed", str(error).rpartition(": ")[2])
        except (ImportError, CtatlasError) as error:
            yield Check(f"backend {name}", "broken", str(error), _upgrade("ctatlas", [name]))
        else:
            yield Check(f"backend {name}", "ok", f"version {importlib.metadata.version(name)}")


def _models() -> Iterator[Check]:
    from ctatlas.models import load, model_names

    try:
        names = model_names()
    except CtatlasError as error:
        yield Check("models", "broken", str(error), "mend the settings")
        return
    if not names:
        yield Check("models", "broken", "none", "reinstall ctatlas, whose package brings one")
    for name in names:
        try:
            card = load(name).card
        except InstallError as error:
            yield Check(f"model {name}", "missing", str(error), "install the extra that it names")
        except (ImportError, CtatlasError) as error:
            yield Check(f"model {name}", "broken", str(error), "get the model again")
        else:
            yield Check(f"model {name}", "ok", f"version {card.version}, its weights are what the card says")


def _threads() -> Check:
    n = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Check("processors", "ok", f"{n} may be used")


def _memory() -> Check:
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
        free_gb = int(re.findall(r"MemAvailable:\s+(\d+) kB", text)[0]) / 1e6
    except (OSError, IndexError):
        return Check("memory", "ok", "unknown on this system")
    if free_gb < _AT_LEAST_GB:
        return Check("memory", "missing", f"{free_gb:.1f} GB free", f"large scans want {_AT_LEAST_GB:g} GB or more")
    return Check("memory", "ok", f"{free_gb:.1f} GB free")


def _folder(name: str, folder: Path, remedy: str) -> Check:
    """Look whether a folder can be written to, or made where it does not exist."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
        return Check(name, "missing", f"{folder} can't be written to", remedy)
    return Check(name, "ok", f"{folder}, {shutil.disk_usage(there).free / 1e9:.1f} GB free")
