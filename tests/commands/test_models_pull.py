"""Models fetched, brought by hand and compared anew, through the command line and a server that misbehaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
import torch

import ctatlas.models.catalogue.public as catalogue
from ctatlas import locks
from ctatlas.errors import ModelError
from ctatlas.models import card, load
from ctatlas.models.fetch import downloads
from ctatlas.models.fetch.connection import Answer
from ctatlas.models.install import pull
from ctatlas.models.networks.segresnet import SegResNet
from ctatlas.models.networks.text_driven import UniversalModel
from ctatlas.models.registry import bundled_names
from ctatlas.models.terms import Terms, agree
from tests.models.loaders.checkpoints import carded, drawn, saved, small_swin
from tests.support.file_server import Site, serving
from tests.support.nnunet_folders import Folder, write_folder
from tests.support_command import Terminal
from tests.support_models import tiny_model

ON_THE_HUB = "/lab/models/resolve/main/small.pth"
TABLE = """
[[checkpoint]]
name = "lab/{use}"
use = "{use}"
license = "CC0-1.0"
commercial_use = "yes"
description = "made in a test"
structures = 3
file = "{file}"
sources = ["{source}"]
"""


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as found:
        yield found


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, site: Site) -> Path:
    """Return a new user's folder; the hub is the test's server."""
    monkeypatch.setenv("CTATLAS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CTATLAS_HF_MIRROR", site.url)
    monkeypatch.delenv("CTATLAS_OFFLINE", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(downloads, "WAIT_S", 0.001)
    return tmp_path / "home"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    state = {f"module.{name}": value for name, value in drawn("segresnet").state_dict().items()}
    return saved(tmp_path / "small.pth", {"net": state, "epoch": 3})


@pytest.fixture
def public(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: Path) -> Iterator[Path]:
    """List one small public checkpoint, whose terms forbid sale and whose hash nobody has published."""
    folder = tmp_path / "catalogue"
    made = carded(tmp_path / "made", weights, loader="universal")
    text = (made / "card.toml").read_text(encoding="utf-8")
    kept = "\n".join(line for line in text.splitlines() if not line.startswith("sha256"))
    kept = kept.replace('license = "none"', 'license = "CC BY-NC 4.0"\ncommercial_use = "no"')
    kept = kept.replace('file = "weights.pth"', 'file = "small.pth"\nsources = ["hf://lab/models/small.pth"]')
    (folder / "cards").mkdir(parents=True)
    (folder / "cards" / "public.toml").write_text(kept, encoding="utf-8")
    (folder / "checkpoints.toml").write_text(
        "".join(
            TABLE.format(use=use, file=file, source=f"hf://lab/models/{file}")
            for use, file in (("nnunet", "toy.zip"), ("start", "encoder.pt"), ("elsewhere", "other.pt"))
        ),
        encoding="utf-8",
    )
    monkeypatch.setattr(catalogue, "_HERE", folder)
    catalogue.entries.cache_clear()
    yield folder
    catalogue.entries.cache_clear()


def states(ctatlas: Terminal, *words: str) -> dict[str, str]:
    return {row["name"]: row["state"] for row in ctatlas("models", "list", "--json", *words).json}


@pytest.mark.usefixtures("public")
def test_a_checkpoint_is_pulled_recorded_and_runs(ctatlas: Terminal, home: Path, site: Site, weights: Path) -> None:
    site.show_on_the_hub(ON_THE_HUB, weights.read_bytes(), cuts=[40_000], commit="c" * 40)
    assert states(ctatlas)["test/public"] == "not installed"
    done = ctatlas("models", "pull", "test/public", "--accept-license", "--json")
    assert done.code == 0
    assert "licence: CC BY-NC 4.0; no commercial use" in done.err
    (told,) = done.json
    wanted = sha256(weights.read_bytes()).hexdigest()
    assert told["files"] == {"small.pth": {"sha256": wanted, "bytes": weights.stat().st_size}}
    assert (told["source"], told["revision"]) == ("hf://lab/models/small.pth", "c" * 40)
    assert card("test/public").weights.sha256 == wanted
    assert load("test/public").card.name == "test/public"
    assert states(ctatlas, "--here")["test/public"] == "installed"
    assert sorted(each.name for each in (home / "downloads" / "test--public").iterdir()) == ["lock"]


@pytest.mark.usefixtures("home", "public")
def test_terms_that_bind_are_agreed_to_once(ctatlas: Terminal, site: Site, weights: Path) -> None:
    site.show_on_the_hub(ON_THE_HUB, weights.read_bytes())
    refused = ctatlas("models", "pull", "test/public")
    assert refused.code == 2
    assert "its terms need your consent: CC BY-NC 4.0; no commercial use; give it with --accept-license" in refused.err
    assert site.asked == []
    assert ctatlas("models", "pull", "test/public", "--accept-license").code == 0
    assert ctatlas("models", "pull", "test/public", "--again").code == 0


@pytest.mark.usefixtures("home", "public")
def test_what_is_there_is_not_fetched_again_unless_asked(ctatlas: Terminal, site: Site, weights: Path) -> None:
    site.show_on_the_hub(ON_THE_HUB, weights.read_bytes())
    ctatlas("models", "pull", "test/public", "--accept-license")
    n = len(site.asked)
    assert "is there already" in ctatlas("models", "pull", "test/public").out
    assert len(site.asked) == n
    ctatlas("models", "pull", "test/public", "--again")
    assert len(site.asked) > n


@pytest.mark.usefixtures("public")
def test_offline_opens_no_connection(
    ctatlas: Terminal, home: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CTATLAS_OFFLINE", "1")
    done = ctatlas("models", "pull", "test/public", "--accept-license")
    assert done.code == 2
    assert "no connection is opened while 'offline' is set" in done.complaint
    assert site.asked == []
    assert not (home / "models").exists()


@pytest.mark.usefixtures("public")
def test_weights_that_do_not_fit_leave_nothing(ctatlas: Terminal, home: Path, site: Site, tmp_path: Path) -> None:
    network = SegResNet(1, 3, width=8, blocks_down=(1, 2, 1), blocks_up=(1, 2))
    site.show_on_the_hub(ON_THE_HUB, saved(tmp_path / "other.pth", network.state_dict()).read_bytes())
    done = ctatlas("models", "pull", "test/public", "--accept-license")
    assert done.code == 2
    assert "does not fit its card: classes: 3 in the file, 4 on the card" in done.complaint
    assert states(ctatlas)["test/public"] == "not installed"
    assert [each.name for each in (home / "downloads" / "test--public").rglob("*") if each.is_file()] == ["lock"]


@pytest.mark.usefixtures("home", "public")
def test_a_web_page_in_place_of_weights_is_one_line(ctatlas: Terminal, site: Site) -> None:
    site.show(ON_THE_HUB, b"<html>log in</html>", kind="text/html")
    done = ctatlas("models", "pull", "test/public", "--accept-license")
    assert done.code == 2
    assert "small.pth: a web page, not weights" in done.complaint


@pytest.mark.usefixtures("home", "public")
def test_what_can_not_be_run_says_why(ctatlas: Terminal, site: Site) -> None:
    site.show("/lab/models/resolve/main/encoder.pt", b"\x80\x02weights")
    assert "ctatlas has no network for it; it lies at hf://lab" in ctatlas("models", "pull", "lab/elsewhere").complaint
    done = ctatlas("models", "pull", "lab/start")
    assert done.code == 0
    assert "a start for training" in done.out
    assert states(ctatlas)["lab/start"] == "installed"
    for word, said in (("lab/start", "a start for training, which finds no structures"), ("test/public", "gets it")):
        with pytest.raises(ModelError, match=said):
            load(word)
    assert "no public checkpoint 'nix'; known: test/public" in ctatlas("models", "pull", "nix").complaint


@pytest.mark.usefixtures("home", "public")
def test_what_is_not_here_tells_of_itself_already(ctatlas: Terminal) -> None:
    told = ctatlas("models", "info", "test/public")
    assert "test/public is not here yet; 'ctatlas models pull test/public' gets it" in told.err
    assert "Licence: CC BY-NC 4.0" in told.out
    assert "Lies at hf://lab/models/toy.zip" in ctatlas("models", "info", "lab/nnunet").out
    assert ctatlas("models", "info", "lab/start", "--json").json["use"] == "start"


@pytest.mark.usefixtures("home", "public")
def test_a_zip_of_nnunet_is_pulled_under_its_public_name(ctatlas: Terminal, site: Site, tmp_path: Path) -> None:
    results = tmp_path / "results"
    write_folder(results, Folder())
    with zipfile.ZipFile(tmp_path / "toy.zip", "w") as archive:
        for path in results.rglob("*"):
            archive.write(path, path.relative_to(results))
    site.show_on_the_hub("/lab/models/resolve/main/toy.zip", (tmp_path / "toy.zip").read_bytes())
    done = ctatlas("models", "pull", "lab/nnunet")
    assert done.code == 0, done.err
    assert states(ctatlas)["lab/nnunet"] == "installed"
    told = ctatlas("models", "info", "lab/nnunet", "--json").json
    assert (told["name"], told["license"], told["pipeline"]) == ("lab/nnunet", "CC0-1.0", "nnunet")
    assert list(told["structures"]) == ["liver", "spleen", "pancreas"]
    assert [row["state"] for row in ctatlas("models", "verify", "lab/nnunet", "--json").json] == ["ok"] * 3


@pytest.mark.usefixtures("home")
def test_a_folder_of_nnunet_on_the_hub_is_pulled(ctatlas: Terminal, site: Site, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "results", Folder())
    rows = []
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        inner = f"nets/{folder.name}/{path.relative_to(folder).as_posix()}"
        rows.append({"type": "file", "path": inner, "size": path.stat().st_size})
        site.show(f"/lab/models/resolve/v1/{inner}", path.read_bytes())
    site.show(f"/api/models/lab/models/tree/v1/nets/{folder.name}", json.dumps(rows).encode())
    done = ctatlas("models", "pull", f"hf://lab/models@v1/nets/{folder.name}/", "--name", "lab/toy", "--accept-license")
    assert done.code == 0, done.err
    told = ctatlas("models", "info", "lab/toy", "--json").json
    assert list(told["structures"]) == ["liver", "spleen", "pancreas"]
    assert told["training"]["trainer"] == "nnUNetTrainerNoMirroring"


def test_a_file_brought_by_hand_is_known_by_its_name(
    ctatlas: Terminal, home: Path, site: Site, weights: Path, public: Path
) -> None:
    refused = ctatlas("models", "import", weights)
    assert refused.code == 2
    assert "its terms need your consent: CC BY-NC 4.0; no commercial use; give it with --accept-license" in refused.err
    assert not (home / "models" / "test").exists()
    done = ctatlas("models", "import", weights, "--accept-license")
    assert done.code == 0, done.err
    assert load("test/public").card.commercial_use == "no"
    assert (home / "models" / "test" / "public" / "weights.lock").is_file()
    assert site.asked == []
    assert public.is_dir()
    again = ctatlas("models", "import", weights)
    assert again.code == 2
    assert "is there already" in again.complaint
    assert ctatlas("models", "import", weights, "--again").code == 0


@pytest.mark.usefixtures("home")
def test_a_folder_with_a_card_is_imported_under_another_name(ctatlas: Terminal, tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "tiny")
    assert ctatlas("models", "import", folder, "--name", "mine").code == 0
    assert load("mine").card.name == "mine"
    assert ctatlas("models", "import", folder).code == 0
    assert {"mine", "test/tiny"} <= states(ctatlas, "--here").keys()


@pytest.mark.usefixtures("home")
def test_what_lies_on_the_disk_is_pulled_by_importing_it(ctatlas: Terminal, site: Site, tmp_path: Path) -> None:
    assert ctatlas("models", "pull", tiny_model(tmp_path / "tiny")).code == 0
    assert load("test/tiny").card.name == "test/tiny"
    assert site.asked == []


@pytest.mark.usefixtures("home")
def test_a_zip_of_a_model_folder_is_imported(ctatlas: Terminal, tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "tiny")
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as archive:
        for path in folder.iterdir():
            archive.write(path, f"tiny/{path.name}")
    assert ctatlas("models", "import", tmp_path / "packed.zip").code == 0
    assert load("test/tiny").card.version == "1"


@pytest.mark.usefixtures("home")
def test_a_folder_of_nnunet_with_two_configurations_gives_two_models(ctatlas: Terminal, tmp_path: Path) -> None:
    for configuration in ("3d_fullres", "3d_lowres"):
        folder = write_folder(tmp_path / "results", Folder(configuration=configuration))
    assert ctatlas("models", "import", folder.parent, "--name", "mine/toy").code == 0
    assert {"mine/toy.3d_fullres", "mine/toy.3d_lowres"} <= states(ctatlas, "--here").keys()
    assert load("mine/toy.3d_lowres").card.name == "mine/toy.3d_lowres"


@pytest.mark.usefixtures("home")
def test_a_text_driven_checkpoint_tells_its_classes_itself(ctatlas: Terminal, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = UniversalModel(small_swin(), 9)
    network.organ_embedding.normal_()
    path = saved(tmp_path / "own.pth", network.state_dict())
    assert "universal/swin-unetr of abdomenatlas-1.0; say with --name" in ctatlas("models", "import", path).complaint
    assert ctatlas("models", "import", path, "--name", "mine").code == 0
    assert list(card("mine").structures) == [
        "aorta", "gallbladder", "kidney_left", "kidney_right", "liver", "pancreas", "inferior_vena_cava", "spleen",
        "stomach",
    ]  # fmt: skip
    assert load("mine").card.license == "not known"


@pytest.mark.usefixtures("home")
def test_what_is_no_model_is_one_line(ctatlas: Terminal, tmp_path: Path, weights: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "page.pth").write_text("<html>")
    with zipfile.ZipFile(tmp_path / "none.zip", "w") as archive:
        archive.writestr("readme.json", "{}")
    (tmp_path / "weights.bin").write_bytes(weights.read_bytes())
    for path, said in (
        (tmp_path / "nowhere", "no such file or folder"),
        (tmp_path / "empty", "no model: expected a card.toml, or nnU-Net's"),
        (tmp_path / "page.pth", "a web page, not weights"),
        (tmp_path / "none.zip", "a zip without a model"),
        (weights, "a segresnet of 4 classes, which doesn't tell what they are; give its card with --card"),
        (tmp_path / "weights.bin", "give its card with --card"),
    ):
        done = ctatlas("models", "import", path)
        assert (done.code, said in done.complaint) == (2, True), done.err
    assert states(ctatlas, "--here") == dict.fromkeys(bundled_names(), "bundled")


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("name", ["../evil", "a/b/c", "A", "a b", "a/../b", "ctatlas/base", "", "x" * 200])
def test_a_name_that_no_model_may_have_is_refused(ctatlas: Terminal, tmp_path: Path, name: str) -> None:
    done = ctatlas("models", "import", tiny_model(tmp_path / "tiny"), "--name", name)
    assert done.code == 2
    assert "is no name for a model" in done.complaint or "comes with the package" in done.complaint


def test_nothing_made_by_hand_is_lost(ctatlas: Terminal, home: Path, tmp_path: Path) -> None:
    own = tiny_model(home / "models" / "mine", name="mine")
    other = tiny_model(tmp_path / "tiny")
    for name, said in (("mine", "was made by hand"), ("mine/x", "is a model itself")):
        done = ctatlas("models", "import", other, "--name", name)
        assert (done.code, said in done.complaint) == (2, True), done.err
    tiny_model(home / "models" / "elsewhere", name="test/tiny")
    assert "a model of this name lies in" in ctatlas("models", "import", other).complaint
    assert ctatlas("models", "import", other, "--name", "lab/one").code == 0
    assert "holds models" in ctatlas("models", "import", other, "--name", "lab").complaint
    assert not (own / "weights.lock").exists()
    assert ctatlas("models", "import", own).code == 0  # records the hash of what lies there
    assert (own / "weights.lock").is_file()
    assert ctatlas("models", "import", other, "--name", "mine", "--again").code == 0


def test_damage_is_found_and_named(ctatlas: Terminal, home: Path, tmp_path: Path) -> None:
    ctatlas("models", "import", tiny_model(tmp_path / "tiny"))
    assert ctatlas("models", "verify").code == 0
    file = home / "models" / "test" / "tiny" / "tiny.onnx"
    content = bytearray(file.read_bytes())
    content[100] ^= 1
    file.write_bytes(bytes(content))
    done = ctatlas("models", "verify", "--json")
    assert done.code == 3
    found = {row["model"]: row["state"] for row in done.json}
    assert found == dict.fromkeys(bundled_names(), "ok") | {"test/tiny": "damaged"}
    file.unlink()
    assert ctatlas("models", "verify", "test/tiny", "--json").json[0]["state"] == "missing"
    assert states(ctatlas)["test/tiny"] == "broken"


@pytest.mark.usefixtures("home", "public")
def test_what_came_before_an_interruption_is_gone_on_with(
    ctatlas: Terminal, site: Site, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.show_on_the_hub(ON_THE_HUB, weights.read_bytes())

    def interrupted(answer: Answer) -> Iterator[bytes]:
        yield answer.body.read1(5000)
        raise KeyboardInterrupt

    with monkeypatch.context() as context:
        context.setattr(downloads, "_pieces", interrupted)
        assert ctatlas("models", "pull", "test/public", "--accept-license").code == 130
    assert ctatlas("models", "pull", "test/public").code == 0
    assert site.asked[-1].headers["Range"] == "bytes=5000-"


@pytest.mark.usefixtures("public")
def test_a_second_process_waits_for_the_first(
    home: Path, site: Site, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.show_on_the_hub(ON_THE_HUB, weights.read_bytes())
    monkeypatch.setattr(locks, "PATIENCE_S", 0.05)
    place = home / "downloads" / "test--public"
    place.mkdir(parents=True)
    handle = os.open(place / "lock", os.O_RDWR | os.O_CREAT)
    assert locks.held(handle)
    heard: list[str] = []

    def hear(text: str) -> None:
        heard.append(text)
        os.close(handle)

    agree(Terms("CC BY-NC 4.0", "", "no"))
    assert pull("test/public", tell=hear).name == "test/public"
    assert heard == ["test/public: another ctatlas is at it; waiting"]


@pytest.mark.soak
@pytest.mark.usefixtures("public")
def test_a_person_who_interrupts_goes_on_later_and_a_second_process_waits(
    ctatlas: Terminal, home: Path, site: Site, weights: Path
) -> None:
    size = weights.stat().st_size
    shown = site.show_on_the_hub(ON_THE_HUB, weights.read_bytes(), bytes_a_second=size // 2)
    call = [sys.executable, "-m", "ctatlas", "models", "pull", f"{site.url}{ON_THE_HUB}", "--name", "mine"]
    call += ["--card", str(_card_of(home, weights)), "--accept-license"]
    first = subprocess.Popen(call, stderr=subprocess.PIPE, text=True)
    part = home / "downloads" / "mine" / "fetched" / "small.pth.part"
    _wait_until(lambda: part.is_file() and part.stat().st_size > size // 4)
    first.send_signal(2)
    assert first.wait(20) == 130
    assert first.stderr
    assert "interrupted" in first.stderr.read()
    assert part.stat().st_size < size
    site.asked.clear()
    second = subprocess.Popen(call, stderr=subprocess.PIPE, text=True)
    _wait_until(lambda: len(site.asked) > 1)
    done = ctatlas(*call[3:])
    assert done.code == 0
    assert "is there already" in done.out
    assert second.wait(20) == 0
    assert [each.headers.get("Range", "").startswith("bytes=") for each in site.asked] == [True, True]
    assert shown.content == (home / "models" / "mine" / "small.pth").read_bytes()


def _card_of(home: Path, weights: Path) -> Path:
    folder = carded(home / "made", weights, loader="universal")
    text = (folder / "card.toml").read_text(encoding="utf-8").replace("weights.pth", "small.pth")
    (folder / "mine.toml").write_text(text, encoding="utf-8")
    return folder / "mine.toml"


def _wait_until(condition: object) -> None:
    assert callable(condition)
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_every_public_checkpoint_says_where_it_lies_and_under_which_terms(ctatlas: Terminal) -> None:
    rows = ctatlas("models", "list", "--json").json
    listed = {row["name"] for row in rows}
    assert {"suprem/unet", "universal/swin-unetr", "atlasnet/organs", "totalsegmentator/ribs"} <= listed
    assert all(row["license"] and row["commercial_use"] for row in rows if row["state"] != "broken")
    for entry in catalogue.entries().values():
        assert entry.description
        assert all(source.startswith(("https://", "hf://")) for source in entry.sources)
        assert (entry.use == "card") == (entry.card is not None)
    assert json.dumps(sorted(listed))
