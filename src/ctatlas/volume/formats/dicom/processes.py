"""Decode slices in a process of its own: decoders of compressed frames hold the interpreter's lock.

Plain child processes rather than `multiprocessing`, which would start a caller's script anew. A child gets frames, says
that it has understood them, and gives planes: a byte that says how it went, then the plane; or a line that refuses the
scan. Where no child comes up, slices are decoded here.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import numpy as np

from ctatlas.errors import ScanError
from ctatlas.volume.formats.dicom.files import quietly
from ctatlas.volume.formats.dicom.pixels import words_of
from ctatlas.volume.formats.dicom.rescaling import put_frames, put_hounsfield

if TYPE_CHECKING:
    from ctatlas.volume.formats.dicom.frames import Frame

_READY, _FITS, _FITS_NOT, _REFUSED = b"r", b"y", b"n", b"!"
_CHILD = "import sys; sys.path[:] = {path!r}; from {module} import serve; serve()"


def put_frames_elsewhere(frames: Sequence[Frame], out: np.ndarray) -> bool:
    """Write the HU of slices to an (i, j, k) array in Fortran order, decoded in one child process; wait for it.

    Returns
    -------
    bool
        False when the array's type cannot hold a value.

    Raises
    ------
    ScanError
        When a slice cannot be decoded, or ended the process.
    """
    code = _CHILD.format(path=[os.fspath(entry) for entry in sys.path], module=__name__)
    pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
    try:
        child = subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, stderr=nowhere)
    except OSError:
        return put_frames(frames, out)
    with child:
        try:
            to_child, from_child = cast("BinaryIO", child.stdin), cast("BinaryIO", child.stdout)
            with suppress(BrokenPipeError), to_child:  # a child that ended early is found when nothing comes from it
                pickle.dump((frames, out.dtype.str), to_child)
            if from_child.read(1) != _READY:
                return put_frames(frames, out)
            return all(_receive(from_child, frame, plane) for frame, plane in zip(frames, out.T, strict=True))
        finally:
            child.kill()


def has_python() -> bool:
    """Tell whether this process is a Python that can be started once more, rather than a program that embeds one."""
    return not hasattr(sys, "frozen") and Path(sys.executable or "").name.startswith("python")


def serve() -> None:
    """Be the child: take frames from standard input, give planes on standard output."""
    with os.fdopen(os.dup(1), "wb") as out, quietly():
        os.dup2(2, 1)  # whatever a decoder prints goes nowhere
        frames, kind = pickle.load(sys.stdin.buffer)
        out.write(_READY)
        try:
            for frame, words in zip(frames, words_of(frames), strict=True):
                plane = np.empty(words.shape, kind)
                if not put_hounsfield(words, frame, plane):
                    out.write(_FITS_NOT)
                    return
                out.write(_FITS + plane.tobytes())
        except ScanError as refusal:
            out.write(_REFUSED + str(refusal).encode())


def _receive(source: BinaryIO, frame: Frame, plane: np.ndarray) -> bool:
    """Take one plane from a child; False when it does not fit."""
    said = source.read(1)
    if said == _FITS_NOT:
        return False
    if said == _REFUSED:
        raise ScanError(source.read().decode())
    data = source.read(plane.nbytes)
    if said != _FITS or len(data) != plane.nbytes:
        raise ScanError(
            f"{frame.image.path.name}: its pixels (transfer syntax {frame.image.pixels.transfer_syntax}) cannot be "
            "decoded: they ended the decoder. Copy the file anew."
        )
    plane[...] = np.frombuffer(data, plane.dtype).reshape(plane.shape)
    return True
