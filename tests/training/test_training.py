"""Training: samples that can be made again, a loss that looks away where told, runs that go on where they stopped."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the extra 'torch'")

from ctatlas.errors import ModelError  # noqa: E402
from ctatlas.synthesis.tables import tissue_id, tissues  # noqa: E402
from ctatlas.training.base import train_in_turn  # noqa: E402
from ctatlas.training.classes import IGNORED, class_of_tissue, trained_classes  # noqa: E402
from ctatlas.training.loop import TrainConfig, class_weights, config_of, learning_rate, train  # noqa: E402
from ctatlas.training.loss import segmentation_loss  # noqa: E402
from ctatlas.training.pool import Member, by_kind, load_pool, remaining, write_phantom_member  # noqa: E402
from ctatlas.training.samples import draw_sample  # noqa: E402
from ctatlas.training.scans import SPACING_MM  # noqa: E402
from ctatlas.training.teachers import begun  # noqa: E402


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pool")
    write_phantom_member(folder, 3, 0)
    return folder


def test_every_class_is_made_of_something_that_exists():
    things = {t.structure for t in tissues().values()} | tissues().keys()
    assert {thing for c in trained_classes() for thing in c.made_of} <= things
    assert [c.channel for c in trained_classes()] == list(range(len(trained_classes())))
    assert set(range(1, len(trained_classes()))) <= set(class_of_tissue().tolist())


def test_a_sample_can_be_made_again(pool):
    groups = by_kind(load_pool(pool))
    one, two = (draw_sample(groups, 32, np.random.default_rng([1, 0, 7])) for _ in range(2))
    np.testing.assert_array_equal(one.inputs, two.inputs)
    np.testing.assert_array_equal(one.target, two.target)


def test_samples_show_what_their_target_says(pool):
    groups = by_kind(load_pool(pool))
    samples = [draw_sample(groups, 32, np.random.default_rng([1, 0, n])) for n in range(30)]
    hu = np.concatenate([sample.inputs[1].ravel() * 500 for sample in samples])
    target = np.concatenate([sample.target.ravel() for sample in samples])
    channel = {c.name: c.channel for c in trained_classes()}
    assert np.median(hu[target == channel["lungs"]]) < -600
    assert np.median(hu[target == channel["vertebrae"]]) > 90
    assert -60 < np.median(hu[target == channel["liver"]]) < 200


def test_finer_voxels_show_the_same_anatomy_larger():
    shape, radius_mm = (70, 70, 70), 20.0
    i, j, k = np.ogrid[:70, :70, :70]
    ball = (i - 35) ** 2 + (j - 35) ** 2 + (k - 35) ** 2 < (radius_mm / SPACING_MM) ** 2
    labels = np.full(shape, tissue_id("visceral_fat"), np.uint8)
    labels[ball] = tissue_id("spleen")
    seen = Member("phantom", "ball", labels, None, {0: np.array([[35, 35, 35]])})
    channel = next(c.channel for c in trained_classes() if c.name == "spleen")
    drawn = {
        mm: [draw_sample({"phantom": [seen]}, 32, np.random.default_rng(n), grid_mm=mm) for n in range(30)]
        for mm in (3.0, 4.0)
    }
    voxels = {mm: np.mean([(sample.target == channel).sum() for sample in samples]) for mm, samples in drawn.items()}
    ball_mm3 = 4 / 3 * np.pi * radius_mm**3
    assert voxels[4.0] * 4**3 == pytest.approx(ball_mm3, rel=0.15)  # people are scaled, and a few balls cut
    assert voxels[3.0] / voxels[4.0] == pytest.approx((4 / 3) ** 3, rel=0.1)


def test_the_loss_is_blind_to_what_is_not_judged():
    torch.manual_seed(0)
    logits = torch.randn(1, 4, 6, 6, 6)
    target = torch.randint(0, 4, (1, 6, 6, 6))
    target[:, :3] = IGNORED
    other = logits.clone()
    other[:, :, :3] += 5 * torch.randn(1, 4, 3, 6, 6)
    weights = torch.ones(4)
    assert segmentation_loss(logits, target, weights) == pytest.approx(
        float(segmentation_loss(other, target, weights)), abs=1e-5
    )


def test_the_loss_falls_to_zero_when_everything_is_right():
    target = torch.zeros(1, 6, 6, 6, dtype=torch.int64)
    target[:, 2:5] = 1
    logits = torch.nn.functional.one_hot(target, 3).permute(0, 4, 1, 2, 3).float() * 40
    assert float(segmentation_loss(logits, target, torch.ones(3))) < 0.01


def test_a_patch_without_judged_voxels_gives_no_gradient():
    logits = torch.randn(1, 3, 4, 4, 4, requires_grad=True)
    segmentation_loss(logits, torch.full((1, 4, 4, 4), IGNORED), torch.ones(3)).backward()
    assert float(logits.grad.abs().max()) == 0


def test_rate_and_weights_decay_together():
    config = TrainConfig(steps=1000)
    assert learning_rate(config, 400) == config.learning_rate
    assert learning_rate(config, 999) < 0.03 * config.learning_rate
    assert class_weights(config, 0).tolist() == pytest.approx([c.loss_weight for c in trained_classes()])
    assert float((class_weights(config, 999) - 1).abs().max()) < 1e-6


def member(kind: str, name: str) -> Member:
    return Member(kind, name, np.zeros((1, 1, 1), np.uint8), None, {})


def test_a_source_is_left_out_by_kind_or_by_name():
    members = [member("phantom", "0001"), member("labelled", "ts-example"), member("completed", "ts-example-003")]
    assert [m.name for m in remaining(members, ["phantom"])] == ["ts-example", "ts-example-003"]
    assert [m.kind for m in remaining(members, ["ts-example"])] == ["phantom"]
    assert remaining(members, []) == members


@pytest.mark.parametrize(("words", "told"), [(["ts-exmaple"], "takes nothing out"), (["phantom"], "nothing is left")])
def test_leaving_out_nothing_or_all_is_refused(words, told):
    with pytest.raises(ModelError, match=told):
        remaining([member("phantom", "0001")], words)


@pytest.mark.slow
def test_a_stopped_run_goes_on_to_the_same_weights(pool, tmp_path):
    config = TrainConfig(steps=8, small_patch=16, large_patch=16, widths=(16, 16, 16), seed=2)
    train(pool, tmp_path / "whole", config, workers=1)
    train(pool, tmp_path / "parts", config, workers=1, until=3)
    train(pool, tmp_path / "parts", config, workers=1)
    whole, parts = (torch.load(tmp_path / name / "checkpoint.pt", weights_only=True) for name in ("whole", "parts"))
    assert whole["step"] == parts["step"] == 8
    for key, value in whole["averaged"].items():
        assert torch.equal(value, parts["averaged"][key]), key


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # torch.onnx warns of itself
def test_runs_follow_each_other_from_the_weights_of_the_one_before(pool, tmp_path):
    small = TrainConfig(steps=2, small_patch=16, large_patch=16, widths=(16, 16, 16), seed=2)
    runs, first, second = (small, replace(small, steps=5)), tmp_path / "net", tmp_path / "net-run-2"

    train_in_turn(pool, first, runs, until=1)
    assert not second.exists()

    train_in_turn(pool, first, runs, until=3)
    begun_from = config_of(second).begun_from
    assert begun_from.startswith("net (2 steps, seed 2, weights ")
    assert config_of(first).begun_from == ""
    whole = (first / "checkpoint.pt").read_bytes()

    train_in_turn(pool, first, runs)
    assert (first / "checkpoint.pt").read_bytes() == whole
    assert [torch.load(run / "checkpoint.pt", weights_only=True)["step"] for run in (first, second)] == [2, 5]
    assert config_of(second).begun_from == begun_from


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_what_a_stopped_run_gave_is_told_by_its_own_steps(pool, tmp_path):
    config = TrainConfig(steps=9, small_patch=16, large_patch=16, widths=(16, 16, 16), seed=2)
    train(pool, tmp_path / "net", config, workers=1, until=1)
    assert begun(config, tmp_path / "next", str(tmp_path / "net")).begun_from.startswith("net (1 steps, seed 2, ")
