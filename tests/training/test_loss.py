"""The loss of voxels that may be one of several classes: it asks for one of them, no matter which."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the extra 'torch'")

from ctatlas.training.classes import IGNORED  # noqa: E402
from ctatlas.training.loss import segmentation_loss  # noqa: E402
from tests.reference.marginal_loss import marginal_loss  # noqa: E402

SETS = {254: (1, 2), 253: (0, 3)}


def drawn(seed, n=1):
    rng = np.random.default_rng(seed)
    logits = torch.from_numpy(rng.normal(0, 2, (n, 4, 5, 6, 7)).astype(np.float32)).requires_grad_()
    target = torch.from_numpy(rng.choice([0, 1, 2, 3, 253, 254, IGNORED], (n, 5, 6, 7)))
    return logits, target, torch.tensor([0.4, 1.0, 2.5, 1.5])


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("seed", range(3))
def test_it_is_what_the_definition_says(seed, n):
    logits, target, weights = drawn(seed, n)
    expected = marginal_loss(logits.detach().numpy(), target.numpy(), weights.numpy(), SETS)
    assert float(segmentation_loss(logits, target, weights, sets=SETS).detach()) == pytest.approx(expected, rel=1e-5)


def test_a_set_of_one_is_that_class():
    logits, target, weights = drawn(4)
    target[target >= 253] = 2
    as_set = torch.where(target == 1, 254, target)
    few = target.new_full(target.shape, IGNORED)
    few[:, :2] = target[:, :2]
    few_as_set = torch.where(few == 1, 254, few)
    cross_entropy = [
        float(segmentation_loss(logits, each, weights, sets={254: (1,)}).detach()) for each in (few, few_as_set)
    ]
    assert as_set.max() == 254
    # Dice sees the class, and not the set; taken away, both are alike.
    dice = [marginal_loss(*arrays(logits, each, weights), {254: (1,)}, overlap_only=True) for each in (few, few_as_set)]
    assert cross_entropy[0] - dice[0] == pytest.approx(cross_entropy[1] - dice[1], abs=1e-5)


def arrays(logits, target, weights):
    return logits.detach().numpy(), target.numpy(), weights.numpy()


def test_moving_probability_within_a_set_changes_nothing():
    logits, _, weights = drawn(5)
    target = torch.full((1, 5, 6, 7), 254)
    p = logits.detach().softmax(1)
    other = p.clone()
    other[:, 1], other[:, 2] = 0.1 * (p[:, 1] + p[:, 2]), 0.9 * (p[:, 1] + p[:, 2])
    one, two = (float(segmentation_loss(each.log(), target, weights, sets=SETS)) for each in (p, other))
    assert one == pytest.approx(two, rel=1e-5)
    assert one > 0.1


def test_the_gradient_raises_every_class_of_the_set_and_lowers_the_others():
    logits = torch.zeros(1, 4, 3, 3, 3, requires_grad=True)
    segmentation_loss(logits, torch.full((1, 3, 3, 3), 254), torch.ones(4), sets=SETS).backward()
    slope = logits.grad[0].flatten(1).mean(1)
    assert slope[1] == slope[2] < 0 < slope[0] == slope[3]


def test_it_stays_finite_where_the_network_is_sure_of_the_contrary():
    logits = torch.zeros(1, 4, 3, 3, 3)
    logits[:, 0] = 200
    logits.requires_grad_()
    loss = segmentation_loss(logits, torch.full((1, 3, 3, 3), 254), torch.ones(4), sets=SETS)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()
