from __future__ import annotations

from pathlib import Path

import pytest

from ctatlas.atlas.catalog.filesystems import disk_kind, refuse_network_disk
from ctatlas.errors import AtlasError

# As the kernel writes it: number, parent, device, root, mount point, options, [tags], "-", kind, source, options
MOUNTS = r"""
22 1 259:2 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p2 rw
23 22 0:21 / /proc rw,nosuid - proc proc rw
41 22 0:35 / /home rw,relatime shared:20 master:3 - nfs4 server:/export/home rw,vers=4.2
42 41 0:36 / /home/ann/local\040disk rw,relatime - xfs /dev/sdb1 rw
43 22 0:37 / /data/große rw - fuse.sshfs ann@host:/data rw
44 22 0:38 / /over rw - nfs server:/old rw
45 44 0:39 / /over rw - ext4 /dev/sdc1 rw
a line that nobody expects
"""


@pytest.fixture
def mounts(tmp_path: Path) -> Path:
    path = tmp_path / "mountinfo"
    path.write_text(MOUNTS, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/srv/atlas/catalog.db", "ext4"),
        ("/home/ann/atlas/catalog.db", "nfs4"),
        ("/homestead/catalog.db", "ext4"),
        ("/over/atlas", "ext4"),
    ],
)
def test_the_disk_is_the_one_mounted_nearest(mounts: Path, path: str, kind: str) -> None:
    """None of these paths exists here, so that the nearest folder that does is the root."""
    assert disk_kind(Path("/"), mounts) == "ext4"
    mounts.write_text(mounts.read_text(encoding="utf-8").replace(" /home", f" {mounts.parent}/home"), encoding="utf-8")
    (mounts.parent / "home" / "ann").mkdir(parents=True)
    (mounts.parent / "homestead").mkdir()
    there = Path(str(path).replace("/home", f"{mounts.parent}/home"))
    assert disk_kind(there, mounts) == kind


def test_blanks_and_other_letters_in_mount_points(tmp_path: Path) -> None:
    (tmp_path / "local disk").mkdir()
    (tmp_path / "große").mkdir()
    mounts = tmp_path / "mountinfo"
    lines = MOUNTS.replace("/home/ann/local", f"{tmp_path}/local").replace("/data/gr", f"{tmp_path}/gr")
    mounts.write_text(lines, encoding="utf-8")
    assert disk_kind(tmp_path / "local disk" / "atlas", mounts) == "xfs"
    assert disk_kind(tmp_path / "große" / "atlas", mounts) == "fuse.sshfs"


def test_a_network_disk_is_refused_with_the_way_out(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"41 22 0:35 / {tmp_path} rw - lustre mds:/scratch rw\n")
    with pytest.raises(AtlasError, match=r"network disk \(lustre\).*postgresql://.*--shard"):
        refuse_network_disk(tmp_path / "atlas" / "catalog.db", mounts)


def test_where_the_system_does_not_say_nothing_is_refused(tmp_path: Path) -> None:
    refuse_network_disk(tmp_path / "catalog.db", tmp_path / "no such file")
    assert disk_kind(tmp_path, tmp_path / "no such file") == ""


def test_the_disk_of_this_machine_has_a_kind() -> None:
    if not Path("/proc/self/mountinfo").exists():
        pytest.skip("not Linux")
    assert disk_kind(Path("/proc")) == "proc"
