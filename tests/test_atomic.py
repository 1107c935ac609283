from __future__ import annotations

import errno
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from ctatlas.atomic import whole_file
from ctatlas.errors import OutputError


def names(folder: Path) -> list[str]:
    """Return everything in a folder, hidden names too."""
    return sorted(path.name for path in folder.iterdir())


def test_the_file_appears_when_the_block_has_ended(tmp_path: Path) -> None:
    target = tmp_path / "mask.nii.gz"
    with whole_file(target) as file:
        file.write(b"voxels")
        assert not target.exists()
    assert target.read_bytes() == b"voxels"
    assert names(tmp_path) == ["mask.nii.gz"]


def test_a_failing_block_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "mask.nii.gz"
    target.write_bytes(b"before")
    with pytest.raises(TypeError), whole_file(target) as file:
        file.write(b"half" + None)
    assert target.read_bytes() == b"before"
    assert names(tmp_path) == ["mask.nii.gz"]


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with (
        pytest.raises(OutputError, match=r"mask\.nii\.gz: cannot be written: the disk is full"),
        whole_file(tmp_path / "mask.nii.gz") as file,
    ):
        file.write(b"voxels")
    assert names(tmp_path) == []


def test_a_really_full_disk(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full on this system")
    with pytest.raises(OutputError, match="the disk is full"), whole_file(tmp_path / "a"):
        Path("/dev/full").write_bytes(b"x")
    assert names(tmp_path) == []


def test_a_missing_folder_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="its folder does not exist"), whole_file(tmp_path / "no" / "mask.nii.gz"):
        pass


def test_a_file_in_the_way_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"")
    with pytest.raises(OutputError, match="part of the path is a file"), whole_file(tmp_path / "out" / "mask.nii.gz"):
        pass


def test_a_folder_in_the_way_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "mask.nii.gz").mkdir()
    with pytest.raises(OutputError, match="a folder of that name"), whole_file(tmp_path / "mask.nii.gz"):
        pass
    assert names(tmp_path) == ["mask.nii.gz"]


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_killed_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "mask.nii.gz"
    target.write_bytes(b"before")
    code = f"""
        import os, signal
        from pathlib import Path
        from ctatlas.atomic import whole_file
        with whole_file(Path({str(target)!r})) as file:
            file.write(b"half")
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
    """
    killed = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False)
    assert killed.returncode == -9
    assert target.read_bytes() == b"before"
    assert [path.name for path in tmp_path.glob("*.nii.gz")] == ["mask.nii.gz"]


def test_permissions_are_those_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"")
    with whole_file(tmp_path / "whole"):
        pass
    assert (tmp_path / "whole").stat().st_mode == (tmp_path / "plain").stat().st_mode
