"""Compression on several processors: the same bytes everywhere, and no thread left behind when the disk fails."""

from __future__ import annotations

import errno
import gzip
import io
import os
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest

from ctatlas.errors import OutputError
from ctatlas.volume import whole_file
from ctatlas.volume.formats import gzip_stream

NOISE = np.random.default_rng(5).normal(40, 90, 2_500_001).astype("<i2").tobytes()  # some blocks and an odd rest


class FullDisk(io.RawIOBase):
    """A disk with room for some megabytes."""

    room = 2**21

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        size = memoryview(data).nbytes  # type: ignore[arg-type]
        self.room -= size
        if self.room < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return size


@pytest.mark.parametrize("processors", [1, 2, 3, 64])
def test_the_number_of_processors_does_not_show(monkeypatch: pytest.MonkeyPatch, processors: int) -> None:
    def packed() -> bytes:
        file = io.BytesIO()
        with gzip_stream.compressing_scan(file) as stream:
            stream.write(b"header")
            stream.write(NOISE)
        return file.getvalue()

    here = packed()
    monkeypatch.setattr(os, "cpu_count", lambda: processors)
    assert packed() == here
    assert gzip.decompress(here) == b"header" + NOISE


def test_one_member_without_time_or_name() -> None:
    file = io.BytesIO()
    with gzip_stream.compressing_scan(file) as stream:
        stream.write(NOISE)
    packed = file.getvalue()
    assert packed[:4] == b"\x1f\x8b\x08\0"  # no flags, so no name
    assert packed[4:8] == bytes(4)
    inflate = zlib.decompressobj(31)
    assert inflate.decompress(packed) == NOISE
    assert inflate.eof
    assert not inflate.unused_data


def test_a_full_disk_is_said_and_leaves_no_thread(tmp_path: Path) -> None:
    before = threading.active_count()
    with pytest.raises(OutputError, match="the disk is full"):
        fill_the_disk(tmp_path / "ct.nii.gz")
    assert threading.active_count() == before
    assert list(tmp_path.iterdir()) == []


def fill_the_disk(path: Path) -> None:
    with whole_file(path), gzip_stream.compressing_scan(FullDisk()) as stream:  # type: ignore[arg-type]
        for _ in range(20):
            stream.write(NOISE)
