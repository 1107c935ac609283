"""Read a torch checkpoint without running anything that is in it, and without what it holds beside the weights."""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from ctatlas.errors import ModelError
from ctatlas.models.fetch.first_bytes import first_bytes, refuse_stand_in

State = dict[str, torch.Tensor]

# Where trainers put the weights beside optimiser, schedule and epoch.
_PLACES = ("net", "state_dict", "model", "network_weights", "model_state_dict")
# Tied weights are read more than once; more often than this is no network.
_AT_MOST_REPEATED = 4
_WRAPPERS = ("module.", "_orig_mod.")  # data-parallel training, compilation
# Numbers of NumPy among a trainer's notes: no code, but torch asks for leave. The first is what NumPy 1 called it.
_NUMBER = cast("Callable[..., Any]", np.float64(0).__reduce__()[0])
_HARMLESS: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    (_NUMBER, "numpy.core.multiarray.scalar"),
    _NUMBER,
    np.dtype,
    *(type(np.dtype(kind)) for kind in ("float64", "float32", "int64", "int32", "bool")),
]


def read_checkpoint(path: Path) -> State:
    """Return the tensors of a checkpoint by name, read from the disk as they are used.

    Wrappers' prefixes are taken off; optimiser states and the like stay on the disk.

    Raises
    ------
    ModelError
        When the file is no checkpoint, is cut short, or holds code.
    """
    return weights_of(path, read_whole_checkpoint(path))


def read_whole_checkpoint(path: Path) -> object:
    """Return all that a checkpoint holds, without running anything; tensors are read from the disk as they are used.

    Raises
    ------
    ModelError
        When the file is no checkpoint, is cut short, or holds code.
    """
    _look(path)
    try:
        with torch.serialization.safe_globals(_HARMLESS):
            return cast(
                "object", torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
            )
    except pickle.UnpicklingError as error:
        raise ModelError(f"{path}: {_refused(str(error))}") from None
    except MemoryError:
        raise ModelError(f"{path}: says that it holds more than fits in memory; get the file again") from None
    except Exception as error:  # noqa: BLE001  a broken pickle raises whatever its bytes happen to ask for
        raise ModelError(f"{path}: {_broken(str(error))}") from None


def weights_of(path: Path, found: object) -> State:
    """Return the tensors by name in what a checkpoint holds; wrappers' prefixes are taken off.

    Raises
    ------
    ModelError
        When there are none.
    """
    return _unwrapped(_tensors(path, found))


def _look(path: Path) -> None:
    """Refuse what is no checkpoint by its first bytes, and an archive that would grow when read."""
    start = first_bytes(path)
    refuse_stand_in(path, start)
    if start[:2] == b"PK" and not zipfile.is_zipfile(path):
        raise ModelError(f"{path}: {_broken('its end is missing')}")
    if start[:2] == b"PK":
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            packed = [each.filename for each in archive.infolist() if each.compress_type != zipfile.ZIP_STORED]
        if any(name.endswith("constants.pkl") for name in names):
            raise ModelError(f"{path}: a TorchScript program, not weights alone; ask for the state dict (.pt, .pth)")
        if packed:
            raise ModelError(f"{path}: holds packed entries, which torch does not write ({packed[0]}); refused")


def _refused(message: str) -> str:
    """Name the code that a pickle asks for, from torch's long advice on how to run it all the same."""
    name = re.search(r"GLOBAL ([\w.]+)|class ([\w.]+)|Unsupported (?:class|global) ([\w.]+)", message)
    if not name:
        return _broken(message)
    wanted = next(part for part in name.groups() if part)
    return f"holds code ({wanted}), not weights alone; it was not run. Ask for a file with the state dict alone"


def _broken(message: str) -> str:
    first = " ".join(message.split())[:160]
    return f"no whole torch checkpoint ({first}); the file is cut short or of another kind, get it again"


def _tensors(path: Path, found: object) -> State:
    inner = found
    if isinstance(found, Mapping):
        inner = next((found[place] for place in _PLACES if isinstance(found.get(place), Mapping)), found)
    tensors = (
        {key: value for key, value in inner.items() if isinstance(key, str) and isinstance(value, torch.Tensor)}
        if isinstance(inner, Mapping)
        else {}
    )
    if not tensors:
        raise ModelError(
            f"{path}: no weights in it; expected tensors by name, at the top or under {', '.join(_PLACES)}"
        )
    _weigh(path, tensors)
    return tensors


def _weigh(path: Path, tensors: State) -> None:
    """Refuse tensors that repeat few numbers so often that a copy would not fit in memory."""
    claimed = sum(value.numel() * value.element_size() for value in tensors.values())
    storages = [value.untyped_storage() for value in tensors.values()]
    held = sum({each.data_ptr(): each.nbytes() for each in storages}.values())
    if claimed > _AT_MOST_REPEATED * held:
        raise ModelError(f"{path}: its tensors claim {claimed:,} bytes, the file holds {held:,} of them; refused")


def _unwrapped(state: State) -> State:
    for prefix in _WRAPPERS * 2:
        if all(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state
