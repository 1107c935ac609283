"""`make test` gets the programs that tests ask from Debian where it can, and never fails because of them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "install_oracles.sh"
PACKAGES = ("chromium", "dicom3tools", "plastimatch", "postgresql")
ALL = dict.fromkeys(("chromium", "dciodvfy", "plastimatch", "pg_ctlcluster"), "")  # programs of theirs
NEEDED = ("grep", "rm", "timeout")
SHELL = shutil.which("sh")

pytestmark = pytest.mark.skipif(SHELL is None or os.name != "posix", reason="needs a POSIX shell")


def machine(folder: Path, **programs: str) -> Path:
    """Return a folder of programs, the given ones as shell scripts."""
    folder.mkdir()
    for name in NEEDED:
        if found := shutil.which(name):
            (folder / name).symlink_to(found)
    for name, text in programs.items():
        path = folder / name.replace("apt_get", "apt-get")
        path.write_text(f"#!{SHELL}\n{text}\n")
        path.chmod(0o755)
    return folder


def said(programs: Path) -> list[str]:
    environment = {"PATH": str(programs), "TMPDIR": str(programs)}
    done = subprocess.run([SHELL, SCRIPT], env=environment, capture_output=True, check=True, timeout=60, text=True)
    assert done.stderr == ""
    assert not list(programs.glob("*.log"))
    return done.stdout.splitlines()


def test_says_nothing_where_all_is_there(tmp_path: Path) -> None:
    assert said(machine(tmp_path / "bin", **ALL, id="echo 0", apt_get="exit 1")) == []


@pytest.mark.parametrize("programs", [{"id": "echo 1000", "apt_get": "exit 1"}, {"id": "echo 0"}])
def test_tells_others_than_root_of_a_debian_what_to_install(tmp_path: Path, programs: dict[str, str]) -> None:
    (line,) = said(machine(tmp_path / "bin", **programs))
    assert line == f"tests that ask {' '.join(ALL)} will skip; for them: apt-get install {' '.join(PACKAGES)}"


def test_what_fails_is_said_in_a_line(tmp_path: Path) -> None:
    programs = machine(
        tmp_path / "bin",
        **{name: text for name, text in ALL.items() if name != "plastimatch"},
        id="echo 0",
        apt_get="echo noise; echo 'E: no network'; exit 100",
    )
    assert said(programs)[1:] == ["tests that ask plastimatch will skip: E: no network"]


def test_installs_after_an_update_of_the_lists(tmp_path: Path) -> None:
    asked, updated = tmp_path / "asked", tmp_path / "updated"
    text = f'echo "$@" >> {asked}\ncase "$*" in *update*) : > {updated};; esac\n[ -e {updated} ]'
    assert len(said(machine(tmp_path / "bin", id="echo 0", apt_get=text))) == 1
    calls = [line.split() for line in asked.read_text().splitlines()]
    assert ["install" in call for call in calls] == [True, False, True]
    assert all(set(PACKAGES) <= set(call) for call in calls if "install" in call)
