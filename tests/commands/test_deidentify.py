from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tests.support_command import Terminal
from tests.volume.formats.dicom.phantom import Phantom


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    return Phantom(n_slices=3).write(tmp_path / "Mueller_Hans")


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_becomes_pseudonymous(ctatlas: Terminal, scan: Path, tmp_path: Path) -> None:
    done = ctatlas("deidentify", scan, tmp_path / "out", "--key", tmp_path / "key")
    assert done.code == 0
    assert f"made a new key: {tmp_path / 'key'}" in done.err
    names = sorted(files_of(tmp_path / "out"))
    assert [name.split("-")[0] for name in names] == ["CTA", "CTA", "CTA", "deidentification.csv"]
    assert "Mueller" not in "".join(names)


def test_the_key_is_its_owners_and_is_never_shown(ctatlas: Terminal, scan: Path, tmp_path: Path) -> None:
    done = ctatlas("deidentify", scan, tmp_path / "out", "--key", tmp_path / "key", "--json")
    secret = (tmp_path / "key").read_text().strip()
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    assert len(secret) == 64
    assert secret not in done.out + done.err
    assert secret.encode() not in b"".join(files_of(tmp_path / "out").values())


def test_without_a_name_the_key_is_at_home(
    ctatlas: Terminal, scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CTATLAS_HOME", str(tmp_path / "home"))
    assert ctatlas("deidentify", scan, tmp_path / "out").code == 0
    assert (tmp_path / "home" / "deidentification.key").is_file()


@pytest.mark.parametrize("workers", [1, 2])
def test_again_with_the_same_key_gives_the_same_bytes(ctatlas: Terminal, tmp_path: Path, workers: int) -> None:
    scan = Phantom(n_slices=20).write(tmp_path / "scan")
    for out in ("one", "two"):
        how = ("--workers", workers if out == "two" else 1)
        assert ctatlas("deidentify", scan, tmp_path / out, "--key", tmp_path / "key", *how).code == 0
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")
    ctatlas("deidentify", scan, tmp_path / "one", "--key", tmp_path / "key")
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")


def test_another_key_gives_other_pseudonyms(ctatlas: Terminal, scan: Path, tmp_path: Path) -> None:
    for key in ("one", "two"):
        ctatlas("deidentify", scan, tmp_path / f"out_{key}", "--key", tmp_path / key)
    one, two = ({name for name in files_of(tmp_path / f"out_{key}") if "/" in name} for key in ("one", "two"))
    assert one & two == set()


def test_what_is_refused_is_a_row_without_its_name(ctatlas: Terminal, tmp_path: Path) -> None:
    def burn(k: int, dataset: object) -> None:
        if k == 1:
            dataset.BurnedInAnnotation = "YES"  # type: ignore[attr-defined]

    scan = Phantom(n_slices=3, change=burn, name="Mueller_{:02d}".format).write(tmp_path / "in")
    done = ctatlas("deidentify", scan, tmp_path / "out", "--key", tmp_path / "key", "--json")
    assert done.code == 3
    assert (len(done.json["files"]), len(done.json["refused"])) == (2, 1)
    table = (tmp_path / "out" / "failures.csv").read_text()
    assert table.splitlines()[0] == "case,stage,reason"
    assert table.splitlines()[1].startswith("file 2,look,has text burned into its pixels")
    assert "Mueller" not in table + done.out
    assert "Mueller_01" in done.err  # only the terminal says which file it was


def test_a_single_refused_file_is_one_line(ctatlas: Terminal, tmp_path: Path) -> None:
    def name_the_head(_: int, dataset: object) -> None:
        dataset.BodyPartExamined = "HEAD"  # type: ignore[attr-defined]

    scan = Phantom(n_slices=1, change=name_the_head).write(tmp_path / "in") / "000.dcm"
    done = ctatlas("deidentify", scan, tmp_path / "out", "--key", tmp_path / "key", "--quiet")
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert "--allow-head" in done.complaint
    assert not (tmp_path / "out").exists()
    assert ctatlas("deidentify", scan, tmp_path / "out", "--key", tmp_path / "key", "--allow-head").code == 0


def test_a_dry_run_writes_nothing(ctatlas: Terminal, scan: Path, tmp_path: Path) -> None:
    done = ctatlas("deidentify", scan, tmp_path / "out", "--key", tmp_path / "key", "--dry-run", "--json")
    assert done.code == 0
    assert len(done.json["would_write"]) == 3
    assert not (tmp_path / "out").exists()
    ctatlas("deidentify", scan, tmp_path / "out", "--key", tmp_path / "key")
    assert {job["file"] for job in done.json["would_write"]} == set(files_of(tmp_path / "out")) - {
        "deidentification.csv"
    }


@pytest.mark.usefixtures("scan")
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("missing", "out"), "there is no such file or folder"),
        (("Mueller_Hans", "Mueller_Hans/out"), "lies inside the input"),
        (("Mueller_Hans", "out", "--key", "short"), "is no key"),
        (("Mueller_Hans", "out", "--key", "open"), "chmod 600"),
        (("texts", "out"), "nothing to de-identify"),
    ],
)
def test_a_wrong_call_is_one_line(
    ctatlas: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CTATLAS_HOME", str(tmp_path / "home"))
    Path("short").write_text("1234")
    Path("open").write_text("00" * 32)
    Path("open").chmod(0o644)
    Path("texts").mkdir()
    Path("texts/report.txt").write_text("nothing")
    done = ctatlas("deidentify", *words, "--quiet")
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert says in done.complaint
    assert not Path("out").exists()


def test_an_archive_is_looked_into(ctatlas: Terminal, scan: Path, tmp_path: Path) -> None:
    import shutil

    archive = shutil.make_archive(str(tmp_path / "export"), "zip", scan)
    done = ctatlas("deidentify", archive, tmp_path / "out", "--key", tmp_path / "key", "--json")
    assert (done.code, len(done.json["files"])) == (0, 3)
