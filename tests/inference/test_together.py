from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from ctatlas.errors import ModelError
from ctatlas.inference import Scene, Together, infer_together, infer_within, joint, prepare
from ctatlas.inference.calibrated import Calibrated
from ctatlas.inference.together import meeting
from ctatlas.kernels.boxes import Box
from ctatlas.models import Model, load
from ctatlas.volume.grid import Grid
from ctatlas.volume.scan import Volume
from tests.inference.scans import ALL_ORDERS, blobs, scans
from tests.reference import whole_volume
from tests.support_models import tiny_model

OBLIQUE = np.array([[-1.3, 0.1, 0, 5], [0.1, 1.6, 0.2, 7], [0, -0.2, 2.5, 9], [0, 0, 0, 1.0]])
SHAPE = (31, 23, 17)
# Each at its own spacing, in its own order of axes, with its own windows; the second knows no aorta but a stomach, and
# sees spleens at lower HU.
ONE = {"classes": ("liver", "spleen", "aorta"), "spacing_mm": [4.0, 3.0, 5.0], "orientation": "ASL"}
TWO = {"classes": ("spleen", "stomach"), "hu": {"spleen": 120.0, "stomach": 500.0}, "spacing_mm": [3.0, 3.5, 2.5]}


def made(folder: Path, name: str, **said: object) -> Model:
    return load(tiny_model(folder / name, **({"name": f"test/{name}", "window": [8, 10, 6]} | said)))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Model]:
    folder = tmp_path_factory.mktemp("models")
    return [made(folder, "one", **ONE, smooth=True), made(folder, "two", **TWO)]


def scene_of(volume: Volume, **masks: np.ndarray) -> Scene:
    """Return a scan that is all body, and what HU would give in it."""
    nowhere = np.zeros(volume.grid.shape, np.bool_)
    given = {"body": ~nowhere, "lung_left": nowhere, "lung_right": nowhere, "trachea": nowhere} | masks
    return Scene(volume, {"calibrated": Calibrated(**given)})


def scan(seed: int = 8) -> Volume:
    return Volume(blobs(SHAPE, seed), Grid(SHAPE, OBLIQUE))


def found_by(models: Sequence[Model], volume: Volume, **wanted: bool) -> Together:
    return infer_together(scene_of(volume), models, joint([model.card for model in models]), **wanted)


def plain(model: Model, volume: Volume) -> dict[str, np.ndarray]:
    """Return one model's probabilities on the scan's grid by the slow and plain way."""
    grid = volume.grid
    network = whole_volume.network_grid(grid, model.card, (0, 0, 0), grid.shape)
    hu = whole_volume.sampled(volume.array, grid, network)
    raw = whole_volume.probabilities(hu, np.ones(hu.shape, np.bool_), model)
    scores = whole_volume.restored(raw, network, grid)
    return {each.name: scores[each.channel] for each in model.card.classes if each.role != "background"}


def mean_of(said: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    names = dict.fromkeys(name for each in said for name in each)
    return {name: np.mean([each[name] for each in said if name in each], axis=0) for name in names}


@settings(max_examples=6)
@given(volume=scans())
def test_every_voxel_goes_to_what_the_models_that_know_it_hold_for_likeliest(
    volume: Volume, models: list[Model]
) -> None:
    means = mean_of([plain(model, volume) for model in models])
    scores = np.stack([1 - sum(means.values()), *means.values()])
    first, second = np.sort(scores, axis=0)[[-1, -2]]
    clear = first - second > 1e-4
    assert list(means) == ["liver", "spleen", "aorta", "stomach"]

    found = found_by(models, volume).mean.segmentation

    labels = found.combined({name: number for number, name in enumerate(means, start=1)})
    np.testing.assert_array_equal(labels[clear], scores.argmax(axis=0)[clear])
    assert clear.mean() > 0.5


def test_probabilities_are_the_mean_over_the_models_that_know_a_structure(models: list[Model]) -> None:
    volume = scan()
    said = [plain(model, volume) for model in models]
    found = found_by(models, volume, save_probabilities=True).mean.probabilities
    assert sorted(found) == ["aorta", "liver", "spleen", "stomach"]
    for name, expected in mean_of(said).items():
        np.testing.assert_allclose(found[name] / 255, expected, atol=0.51 / 255)
    assert np.abs(said[0]["spleen"] - said[1]["spleen"]).max() > 0.5  # they differ, so that a mean is one


def test_the_map_of_disagreement_is_twice_the_deviation_of_the_structure_most_in_question(models: list[Model]) -> None:
    volume = scan()
    one, two = (plain(model, volume) for model in models)
    expected = 2 * np.std([one["spleen"], two["spleen"]], axis=0)  # of the others one model alone speaks
    found = found_by(models, volume, save_disagreement=True).disagreement
    assert found is not None
    np.testing.assert_allclose(found / 255, expected, atol=0.51 / 255)
    assert found.max() > 200


def test_a_model_and_its_twin_find_what_it_finds_alone_and_differ_nowhere(tmp_path: Path) -> None:
    twins = [made(tmp_path, name, **ONE, smooth=True) for name in ("one", "twin")]
    volume = scan()
    alone = infer_within(volume, twins[0], np.ones(SHAPE, np.bool_), save_entropy=True)
    both = found_by(twins, volume, save_entropy=True, save_disagreement=True, keep_members=True)
    ids = {"liver": 1, "spleen": 2, "aorta": 3}
    np.testing.assert_array_equal(both.mean.segmentation.combined(ids), alone.segmentation.combined(ids))
    for member in both.members:
        np.testing.assert_array_equal(member.segmentation.combined(ids), alone.segmentation.combined(ids))
    np.testing.assert_allclose(both.mean.entropy.astype(int), alone.entropy, atol=1)
    assert not both.disagreement.any()


@pytest.mark.parametrize("order", ALL_ORDERS[::7])
def test_order_of_axes_does_not_matter(order: str, models: list[Model]) -> None:
    volume = scan()
    expected = found_by(models, volume).mean.segmentation.reoriented(order)
    found = found_by(models, volume.reoriented(order)).mean.segmentation
    assert min((found.mask(name) == mask).mean() for name, mask in expected.items()) > 0.999


def test_a_structure_of_several_parts_is_known_to_whom_the_parts_are_known(tmp_path: Path) -> None:
    whole = made(tmp_path, "whole", classes=("lungs", "liver"))
    sides = made(tmp_path, "sides", classes=("lung_left", "lung_right"), hu={"lung_left": 0.0, "lung_right": 300.0})
    volume = scan()
    one, two = plain(whole, volume), plain(sides, volume)
    found = found_by([whole, sides], volume, save_probabilities=True).mean.probabilities
    expected = (one["lungs"] + two["lung_left"] + two["lung_right"]) / 2
    np.testing.assert_allclose(found["lungs"] / 255, expected, atol=0.51 / 255)
    np.testing.assert_allclose(found["lung_left"] / 255, two["lung_left"], atol=0.51 / 255)


def test_sides_of_a_class_that_is_split_later_join_it(tmp_path: Path) -> None:
    split = made(tmp_path, "split", classes=("hips",))
    card = tmp_path / "split" / "card.toml"
    card.write_text(card.read_text() + 'split = { left = "hip_left", right = "hip_right" }\n')
    split = load(tmp_path / "split")
    sides = made(tmp_path, "sides", classes=("hip_left", "hip_right"), hu={"hip_left": 0.0, "hip_right": 300.0})
    joined = joint([sides.card, split.card])
    assert list(joined.card.structures) == ["hip_left", "hip_right"]
    volume = scan()
    one, two = plain(split, volume), plain(sides, volume)
    found = found_by([sides, split], volume).mean.segmentation
    mean = (one["hips"] + two["hip_left"] + two["hip_right"]) / 2
    clear = np.abs(mean - 0.5) > 1e-4
    np.testing.assert_array_equal(found.mask("hips")[clear], (mean > 0.5)[clear])
    lone = made(tmp_path, "lone", classes=("hip_left", "liver"))
    with pytest.raises(ModelError, match="finds hip_left alone, another model hips as a whole"):
        joint([split.card, lone.card])


def test_what_hu_gives_counts_as_a_sure_model(tmp_path: Path) -> None:
    network = made(tmp_path, "network", classes=("lung_left", "liver"))
    threshold = made(
        tmp_path,
        "threshold",
        classes=("spleen",),
        decide="threshold",
        extra='[calibrated]\nstructures = ["lung_left", "body"]',
    )
    volume = scan()
    lung = np.zeros(SHAPE, np.bool_)
    lung[3:20, 4:15, 5:12] = True
    joined = joint([network.card, threshold.card])
    assert joined.card.calibrated.structures == ("body",)
    scene = scene_of(volume, lung_left=lung)
    found = infer_together(scene, [network, threshold], joined, save_probabilities=True).mean
    expected = (plain(network, volume)["lung_left"] + lung) / 2
    np.testing.assert_allclose(found.probabilities["lung_left"] / 255, expected, atol=0.51 / 255)
    assert found.segmentation.mask("body").all()


def test_what_models_with_a_threshold_alone_find_is_decided_for_itself(tmp_path: Path) -> None:
    competing = made(tmp_path, "competing", classes=("liver", "spleen"))
    each = {"classes": ("liver", "liver_tumor"), "decide": "threshold"}
    low = made(tmp_path, "low", **each, extra="")
    card = tmp_path / "low" / "card.toml"
    card.write_text("threshold = 0.25\n" + card.read_text())
    low = load(tmp_path / "low")
    joined = joint([competing.card, low.card])
    assert [(field.names, field.threshold) for field in joined.fields] == [
        (("liver", "spleen"), None),
        (("liver_tumor",), 0.25),
    ]
    volume = scan()
    found = found_by([competing, low], volume, save_probabilities=True).mean
    near = np.abs(found.probabilities["liver_tumor"] / 255 - 0.25) < 1 / 255
    expected = found.probabilities["liver_tumor"] > 0.25 * 255
    np.testing.assert_array_equal(found.segmentation.mask("liver_tumor")[~near], expected[~near])
    assert found.segmentation.mask("liver_tumor").any()


def test_a_whole_and_its_parts_stand_beside_one_another(tmp_path: Path) -> None:
    column = made(tmp_path, "column", classes=("vertebrae", "liver"), hu={"vertebrae": 300.0, "liver": 0.0})
    one = made(tmp_path, "one", classes=("vertebrae_L1",), hu={"vertebrae_L1": 300.0})
    joined = joint([column.card, one.card])
    assert [field.names for field in joined.fields] == [("vertebrae", "liver"), ("vertebrae_L1",)]
    found = found_by([column, one], scan()).mean.segmentation
    assert (found.mask("vertebrae_L1") & found.mask("vertebrae")).mean() > 0.1


def test_models_of_one_grid_share_what_was_resampled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    shrink = prepare.shrink

    def counting(array: np.ndarray, *rest: object) -> np.ndarray:
        calls.append(array.dtype.name)
        return shrink(array, *rest)

    monkeypatch.setattr("ctatlas.inference.prepare.shrink", counting)
    pair = [made(tmp_path, name, **ONE, overlap=overlap) for name, overlap in (("one", 0.5), ("twin", 0.25))]
    found_by([*pair, made(tmp_path, "other", **TWO)], scan())
    assert sorted(calls) == ["bool", "bool", "int16", "int16"]


def test_auxiliary_classes_stay_so_unless_a_model_gives_them_as_structures(tmp_path: Path) -> None:
    aux = made(tmp_path, "aux", classes=("colon", "small_bowel"), role="auxiliary")
    real = made(tmp_path, "real", classes=("colon",))
    joined = joint([aux.card, real.card])
    assert {each.name: each.role for each in joined.card.classes[1:]} == {
        "colon": "structure",
        "small_bowel": "auxiliary",
    }
    assert [voice.member for voice in joined.voices["colon"]] == [1]


def test_where_no_model_looks_nothing_is_found(models: list[Model]) -> None:
    volume = scan()
    nowhere = np.zeros(SHAPE, np.bool_)
    scene = scene_of(volume, body=nowhere)
    joined = joint([model.card for model in models])
    found = infer_together(scene, models, joined, save_entropy=True, save_disagreement=True)
    assert set(found.mean.segmentation.n_voxels().values()) == {0}
    assert not found.disagreement.any()


class Watched:
    """A network that counts the windows it was shown."""

    def __init__(self, backend: object, shown: list[str], name: str) -> None:
        self.backend, self.shown, self.name = backend, shown, name
        self.workers, self.n_channels, self.n_classes = 1, backend.n_channels, backend.n_classes

    def logits(self, windows: np.ndarray) -> np.ndarray:
        self.shown.append(self.name)
        return self.backend.logits(windows)


def test_models_go_through_the_scan_side_by_side_so_that_no_whole_answer_is_held(tmp_path: Path) -> None:
    shown: list[str] = []
    same = {"classes": ("liver", "spleen"), "spacing_mm": [4.0, 4.0, 4.0], "window": [64, 64, 4], "overlap": 0.0}
    models = [made(tmp_path, name, **same) for name in ("a", "b")]
    watched = [Model(each.card, Watched(each.backend, shown, each.card.name)) for each in models]
    tall = Volume(blobs((200, 180, 160), 3), Grid((200, 180, 160), np.diag([1.0, 1.0, 1.0, 1])))
    found = found_by(watched, tall, save_disagreement=True)
    changes = sum(one != other for one, other in pairwise(shown))
    assert changes > 5  # in turns; one after the other would be a single change
    assert shown.count("test/a") == shown.count("test/b")
    assert not found.disagreement.any()


def test_slices_end_where_the_slab_of_any_model_ends() -> None:
    def parts(*ends: int) -> list[Box]:
        return [Box((0, 0, lo), (4, 4, hi)) for lo, hi in pairwise(ends)]

    @dataclass(frozen=True)
    class Told:
        box: Box

    answers = [[Told(box) for box in boxes] for boxes in (parts(2, 5, 9), parts(0, 7), [], parts(12, 13))]
    found = [(first, last, [part is not None for part in told]) for first, last, told in meeting(answers)]
    assert found == [
        (0, 2, [False, True, False, False]),
        (2, 5, [True, True, False, False]),
        (5, 7, [True, True, False, False]),
        (7, 9, [True, False, False, False]),
        (12, 13, [False, False, False, True]),
    ]
