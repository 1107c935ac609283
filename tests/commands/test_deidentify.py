from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

from ctatlas.volume.deidentify import key_in
from tests.support_command import Done, Terminal
from tests.volume.deidentify.planted import CT, RTSTRUCT, SEG, WORD, Garden, left, write_planted
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
    assert "Mueller" not in table + done.out + done.err
    assert "file 2: has text burned in" in done.err


def test_only_a_terminal_says_which_file_it_was(
    ctatlas: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = Phantom(n_slices=3).write(tmp_path / "in")
    (scan / "Mueller.nii").write_bytes(b"cut off")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    done = ctatlas("deidentify", scan, tmp_path / "out", "--key", tmp_path / "key", "--quiet", "--dry-run")
    assert f"{scan / 'Mueller.nii'}: is damaged" in done.err
    assert "Mueller" not in done.out


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
    key_in(tmp_path / "key")
    before = sorted(tmp_path.rglob("*"))
    done = ctatlas("deidentify", scan, tmp_path / "out", "--key", tmp_path / "key", "--dry-run", "--json")
    assert done.code == 0
    assert len(done.json["would_write"]) == 3
    assert sorted(tmp_path.rglob("*")) == before
    ctatlas("deidentify", scan, tmp_path / "out", "--key", tmp_path / "key")
    assert {job["file"] for job in done.json["would_write"]} == set(files_of(tmp_path / "out")) - {
        "deidentification.csv"
    }


def test_a_dry_run_without_a_key_makes_none(ctatlas: Terminal, scan: Path, tmp_path: Path) -> None:
    done = ctatlas("deidentify", scan, tmp_path / "out", "--key", tmp_path / "key", "--dry-run")
    assert done.code == 0
    assert "other pseudonyms than these" in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["Mueller_Hans"]


@pytest.mark.usefixtures("scan")
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("missing", "out"), "there is no such file or folder"),
        (("Mueller_Hans", "Mueller_Hans/out"), "lies inside the input"),
        (("Mueller_Hans", "."), "holds no originals"),
        (("Mueller_Hans", "out", "--key", "out/key"), "must not get the key"),
        (("Mueller_Hans", "short"), "name a folder"),
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
    assert says == "nothing to de-identify" or not Path("home").exists()  # no key is made for nothing


def test_an_archive_is_looked_into(ctatlas: Terminal, scan: Path, tmp_path: Path) -> None:
    import shutil

    archive = shutil.make_archive(str(tmp_path / "export"), "zip", scan)
    done = ctatlas("deidentify", archive, tmp_path / "out", "--key", tmp_path / "key", "--json")
    assert (done.code, len(done.json["files"])) == (0, 3)


@pytest.mark.parametrize("how", [(), ("--json",), ("--dry-run",), ("--dry-run", "--json"), ("--workers", "2")])
def test_no_secret_is_left_in_anything_that_is_said_or_written(
    ctatlas: Terminal, tmp_path: Path, how: tuple[str, ...]
) -> None:
    place = tmp_path / "in"
    gardens = []
    for number, sop_class in enumerate((CT, SEG, RTSTRUCT)):
        folder = place / f"{WORD}_Anna" / f"study {WORD} {number}"
        folder.mkdir(parents=True)
        gardens.append(write_planted(folder, sop_class))
    for name in ("cut.dcm", "cut.nii.gz", "more.zip", "note.txt", "picture.png"):
        (place / f"{WORD}_{name}").write_bytes(b"PK\x03\x04" if name == "more.zip" else f"{WORD} {name}".encode())
    (place / f"{WORD}_gone.dcm").symlink_to(f"{WORD}_nowhere")
    key = tmp_path / "key"
    key.write_text(bytes(range(32)).hex())  # a key that moves no planted date onto another
    key.chmod(0o600)
    done = ctatlas("deidentify", place, tmp_path / "out", "--key", key, *how)
    assert done.code == (0 if "--dry-run" in how else 3)
    check_nothing_is_left(done, tmp_path / "out", Garden([one for garden in gardens for one in garden.secrets]))


def check_nothing_is_left(done: Done, out: Path, garden: Garden) -> None:
    everything = [*files_of(out).values(), *(name.encode() for name in files_of(out))]
    assert left(b"".join([*everything, done.out.encode(), done.err.encode()]), garden) == []
    assert len(everything) in (0, 2 * 5)
    assert "file" in done.out
