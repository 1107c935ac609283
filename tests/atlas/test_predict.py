import json
from pathlib import Path

import numpy as np
import pytest

from ctatlas import pipeline
from ctatlas.atlas import Atlas
from ctatlas.atlas.layout import CasePlace
from ctatlas.atlas.members import members_called
from ctatlas.atlas.predict import mask_facts, predict_tasks
from ctatlas.atlas.records import CaseRecord, GridRecord, read_record, write_record
from ctatlas.errors import AtlasError, CtatlasError, ModelError, ScanError
from ctatlas.execution import perform, perform_all, whole_record
from ctatlas.hashing import sha256_file
from ctatlas.volume import Grid, Volume, read_labels, write_volume
from tests.atlas.by_hand import everything_in, new_atlas, new_case
from tests.support_models import tiny_model
from tests.support_scans import LIVER, SPLEEN, box_mask, torso, torso_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(torso_model(tmp_path_factory.mktemp("models") / "torso"))


@pytest.fixture
def atlas(tmp_path: Path, model: str) -> Atlas:
    return new_atlas(tmp_path / "atlas", members=[model])


def add_torso(atlas: Atlas, case: str = "one", volume: Volume | None = None) -> CasePlace:
    place = atlas.place.case(case)
    place.folder.mkdir(parents=True)
    scan = volume or torso()
    write_volume(scan, place.ct)
    sha256 = sha256_file(place.ct)
    record = CaseRecord(
        case=case, dataset="made", dataset_case=case, grid=GridRecord.of(scan.grid), ct_sha256=sha256,
        voxels_sha256=sha256,
    )  # fmt: skip
    write_record(record, place.record)
    return place


def predict(atlas: Atlas, *members: str) -> list[str]:
    """Predict all cases; return what became of each task."""
    tasks = predict_tasks(atlas, atlas.cases(), members_called(members or atlas.config.members))
    return [perform(task).state for task in tasks]


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


@pytest.mark.parametrize("order", ["RAS", "LPS", "SAR"])
def test_labels_lie_on_the_scan_and_probabilities_on_the_models_grid(atlas: Atlas, order: str) -> None:
    place = add_torso(atlas, volume=torso().reoriented(order))
    predict(atlas)
    folder = place.prediction("test/torso")
    ids = {name: int(number) for number, name in json.loads((folder / "labels.json").read_text()).items()}
    assert ids == {"liver": 13, "small_bowel": 12, "spleen": 24} | ids
    assert set(ids) == {"liver", "small_bowel", "spleen"}
    found = read_labels(folder / "labels.nii.gz")
    assert found.labels.dtype == np.uint8
    assert found.grid.is_like(torso().grid.reoriented(order))
    upright = Volume(found.labels.astype(np.int16), found.grid).reoriented("RAS").array
    for name, box in (("liver", LIVER), ("spleen", SPLEEN)):
        assert dice(upright == ids[name], box_mask(box)) > 0.8, name
    soft = read_labels(folder / "probabilities" / "spleen.nii.gz")
    np.testing.assert_allclose(soft.grid.spacing_mm, (4.0, 4.0, 4.0), atol=1e-4)
    sure = soft.grid.world(np.argwhere(soft.labels > 127)).mean(axis=0)
    there = torso().grid.world(np.argwhere(box_mask(SPLEEN))).mean(axis=0)
    assert np.linalg.norm(sure - there) < 3.0
    assert sorted(path.name for path in (folder / "probabilities").iterdir()) == [
        f"{name}.nii.gz" for name in sorted(ids)
    ]


def test_the_catalog_gets_hash_and_volume_of_every_mask(atlas: Atlas) -> None:
    place = add_torso(atlas)
    predict(atlas)
    record = whole_record(place.prediction("test/torso"))
    assert record is not None
    masks = record["summary"]["masks"]  # type: ignore[index]
    labels = read_labels(place.prediction("test/torso") / "labels.nii.gz")
    names = json.loads((place.prediction("test/torso") / "labels.json").read_text())
    for number, name in names.items():
        n_voxels = int((labels.labels == int(number)).sum())
        assert masks[name]["n_voxels"] == n_voxels
        assert masks[name]["volume_ml"] == pytest.approx(n_voxels * labels.grid.voxel_ml)
    faults, _ = atlas.synchronise()
    assert faults == []


def test_a_mask_s_hash_says_where_its_voxels_are() -> None:
    labels = np.zeros((5, 4, 3), np.uint8)
    labels[1:3, 2, 1] = 7
    grid = Grid(labels.shape, np.diag([1.0, 2.0, 5.0, 1.0]))
    first = mask_facts(labels, {"liver": 7, "spleen": 9}, grid)
    assert first["liver"]["n_voxels"] == 2
    assert first["liver"]["volume_ml"] == pytest.approx(0.02)
    assert first["spleen"]["n_voxels"] == 0
    hashes = {str(first["liver"]["sha256"]), str(first["spleen"]["sha256"])}
    for shifted in (np.roll(labels, 1, axis=axis) for axis in range(3)):
        hashes.add(str(mask_facts(shifted, {"liver": 7}, grid)["liver"]["sha256"]))
    labels[2, 2, 1] = 0
    labels[2, 3, 1] = 7
    hashes.add(str(mask_facts(labels, {"liver": 7}, grid)["liver"]["sha256"]))
    assert len(hashes) == 6
    assert mask_facts(labels, {"aorta": 7}, grid)["aorta"] == mask_facts(labels, {"liver": 7}, grid)["liver"]


def test_a_second_run_skips_all_and_what_changed_is_done_again(atlas: Atlas, model: str) -> None:
    place = add_torso(atlas)
    add_torso(atlas, "two", torso(seed=1))
    assert predict(atlas, model, f"{model}+shift") == ["done"] * 4
    before = everything_in(atlas.place.cases_folder)
    assert predict(atlas, model, f"{model}+shift") == ["there"] * 4
    assert everything_in(atlas.place.cases_folder) == before
    record = read_record(CaseRecord, place.record)
    write_record(record.model_copy(update={"ct_sha256": "another scan"}), place.record)
    assert predict(atlas, model, f"{model}+shift") == ["done", "there", "done", "there"]
    card = Path(model) / "card.toml"
    text = card.read_text()
    try:
        card.write_text(text.replace('version = "1"', 'version = "2"'))
        assert predict(atlas) == ["done", "done"]
    finally:
        card.write_text(text)


def test_a_variant_is_named_everywhere_and_differs(atlas: Atlas, model: str) -> None:
    place = add_torso(atlas)
    predict(atlas, model, f"{model}+shift", f"{model}+coarse")
    assert [folder.name for folder in place.predictions()] == [
        "test__torso", "test__torso+coarse", "test__torso+shift",
    ]  # fmt: skip
    record = json.loads((place.prediction("test/torso+coarse") / "run.json").read_text())
    assert record["parameters"]["member"] == "test/torso+coarse"
    assert record["parameters"]["view"]["spacing"] == 1.25
    assert str(model) not in json.dumps(record)
    soft = {
        name: read_labels(place.prediction(f"test/torso{name}") / "probabilities" / "liver.nii.gz")
        for name in ("", "+shift", "+coarse")
    }
    np.testing.assert_allclose(soft["+coarse"].grid.spacing_mm, (5.0, 5.0, 5.0), atol=1e-4)
    moved = soft["+shift"].grid.world((0, 0, 0)) - soft[""].grid.world((0, 0, 0))
    np.testing.assert_allclose(moved, (2.0, 2.0, 2.0), atol=1e-3)


def test_a_model_is_loaded_once_however_many_cases_and_variants(
    atlas: Atlas, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = str(tiny_model(tmp_path / "other", name="test/other", extra="[calibrated]\nstructures = ['body']"))
    add_torso(atlas)
    add_torso(atlas, "two", torso(seed=1))
    loads: list[str] = []
    load = pipeline.load
    monkeypatch.setattr(pipeline, "load", lambda name, *more: (loads.append(str(name)), load(name, *more))[1])
    pipeline._loaded.cache_clear()
    assert predict(atlas, model, other, f"{model}+shift") == ["done"] * 6
    assert loads == [model, other]


def test_a_scan_without_a_torso_gives_empty_masks_and_maps(atlas: Atlas) -> None:
    place = add_torso(
        atlas, volume=Volume(np.full((21, 19, 17), -1000, np.int16), torso().grid.crop((0, 0, 0), (21, 19, 17)))
    )
    predict(atlas)
    folder = place.prediction("test/torso")
    record = whole_record(folder)
    assert record is not None
    assert record["summary"]["why_nothing"]  # type: ignore[index]
    assert not read_labels(folder / "labels.nii.gz").labels.any()
    assert not read_labels(folder / "probabilities" / "liver.nii.gz").labels.any()


def test_a_scan_that_cannot_be_read_fails_alone_and_says_which_member(atlas: Atlas) -> None:
    add_torso(atlas)
    add_torso(atlas, "two").ct.write_bytes(b"no scan")
    tasks = predict_tasks(atlas, atlas.cases(), members_called(atlas.config.members))
    one, two = perform_all(tasks)
    assert (one.state, two.state) == ("done", "failed")
    assert two.stage == "test/torso: read"
    assert not atlas.place.case("two").prediction("test/torso").exists()


def test_a_scan_that_was_exchanged_or_a_broken_record_is_refused(atlas: Atlas) -> None:
    place = add_torso(atlas)
    write_volume(torso().crop((0, 0, 0), (70, 52, 31)), place.ct)
    with pytest.raises(ScanError, match=r"ct\.nii\.gz: lies on another grid than case\.json says"):
        predict(atlas)
    place.record.write_text("{}")
    with pytest.raises(CtatlasError, match=r"case\.json"):
        predict(atlas)


def test_a_model_that_knows_nothing_of_the_label_set_is_refused(tmp_path: Path) -> None:
    atlas = new_atlas(tmp_path / "atlas", label_set="abdomenatlas-1.1")
    new_case(atlas)
    folder = tiny_model(tmp_path / "bones", ("vertebrae_L1", "vertebrae_L2"), name="test/bones")
    with pytest.raises(ModelError, match="vertebrae_L1"):
        predict_tasks(atlas, atlas.cases(), members_called([str(folder)]))


def test_ids_that_do_not_fit_a_byte_are_refused(atlas: Atlas, model: str, tmp_path: Path) -> None:
    names = {"liver": 300, "background": 0}
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": names, "channel_names": {"0": "CT"}}))
    config = atlas.config.model_copy(update={"label_set": str(tmp_path / "dataset.json")})
    with pytest.raises(AtlasError, match="ids above 255"):
        predict_tasks(Atlas(atlas.place, config), [], members_called([model]))


def test_the_room_that_a_task_asks_for_is_about_what_it_takes(atlas: Atlas) -> None:
    place = add_torso(atlas)
    (task,) = predict_tasks(atlas, [place], members_called(atlas.config.members))
    perform(task)
    taken = sum(len(content) for content in everything_in(task.folder).values())
    assert 0.3 * taken < task.bytes_about < 5 * taken
    assert task.makes
