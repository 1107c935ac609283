from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctatlas.anatomy import may_share_voxels
from ctatlas.atlas.ensemble import Collision
from ctatlas.atlas.nest import nested, painting_order
from ctatlas.atlas.resolve import Claim, chosen, resolved
from ctatlas.volume import Segmentation
from tests.atlas.by_hand import GRID, box

ORIGINAL, REVISED, PSEUDO = Claim("original", 0), Claim("revised", 1, 1), Claim("pseudo", 2)


def masks(**given_masks: np.ndarray) -> Segmentation:
    return Segmentation.from_masks(GRID, given_masks)


def test_the_best_kind_that_is_there_is_chosen() -> None:
    order = ("original", "revised", "pseudo")
    assert chosen(order, ["pseudo", "revised", "original"]) == "original"
    assert chosen(("revised", "original"), ["pseudo", "original"]) == "original"
    assert chosen(("revised", "original"), ["pseudo"]) is None


def test_a_better_kind_of_mask_keeps_its_voxels_and_the_loss_is_counted() -> None:
    given_masks = masks(liver=box((0, 6)), stomach=box((4, 9)), spleen=box((8, 11)))
    found, collisions = resolved(given_masks, {"liver": PSEUDO, "stomach": REVISED, "spleen": ORIGINAL})
    np.testing.assert_array_equal(found.mask("liver"), box((0, 4)))
    np.testing.assert_array_equal(found.mask("stomach"), box((4, 8)))
    np.testing.assert_array_equal(found.mask("spleen"), box((8, 11)))
    plane = GRID.shape[1] * GRID.shape[2]
    assert collisions == [
        Collision("spleen", "stomach", plane, "priority"),
        Collision("stomach", "liver", 2 * plane, "priority"),
    ]


def test_who_lost_a_voxel_takes_it_from_nobody() -> None:
    """The rectum yields to the spleen; the colon, which may share with the rectum but not with the spleen, too."""
    given_masks = masks(rectum=box((0, 6)), liver=box((3, 9)), spleen=box((4, 11)))
    claims = {"rectum": PSEUDO, "liver": REVISED, "spleen": ORIGINAL}
    found, collisions = resolved(given_masks, claims)
    np.testing.assert_array_equal(found.mask("rectum"), box((0, 3)))
    np.testing.assert_array_equal(found.mask("liver"), box((3, 4)))
    assert {(c.winner, c.loser): c.n_voxels // 99 for c in collisions} == {
        ("spleen", "liver"): 5,
        ("spleen", "rectum"): 2,
        ("liver", "rectum"): 1,
    }


def test_of_two_revisions_the_later_wins() -> None:
    claims = {"liver": Claim("revised", 1, 3), "stomach": Claim("revised", 1, 2)}
    found, collisions = resolved(masks(liver=box((0, 6)), stomach=box((5, 9))), claims)
    np.testing.assert_array_equal(found.mask("stomach"), box((6, 9)))
    assert [c.rule for c in collisions] == ["later"]


def test_the_more_probable_wins_voxel_by_voxel_and_the_smaller_of_equals() -> None:
    values = {"liver": np.arange(GRID.n_voxels) % 3, "stomach": np.arange(GRID.n_voxels) % 2}

    def probability(name: str, points: np.ndarray) -> np.ndarray:
        return values[name][points].astype(np.float32)

    given_masks = masks(liver=box((0, 8)), stomach=box((5, 9)))
    found, collisions = resolved(given_masks, {"liver": ORIGINAL, "stomach": ORIGINAL}, probability)
    both = box((5, 8))
    liver, stomach = (values[name].reshape(GRID.shape, order="F") for name in ("liver", "stomach"))
    np.testing.assert_array_equal(found.mask("liver"), box((0, 5)) | (both & (liver > stomach)))
    np.testing.assert_array_equal(found.mask("stomach"), box((8, 9)) | (both & (stomach >= liver)))
    assert {c.rule for c in collisions} == {"probability"}
    assert sum(c.n_voxels for c in collisions) == both.sum()


def test_without_probabilities_the_smaller_structure_keeps_its_voxels() -> None:
    claims = {"liver": PSEUDO, "adrenal_gland_right": PSEUDO}
    found, collisions = resolved(masks(liver=box((0, 8)), adrenal_gland_right=box((6, 9))), claims)
    assert found.mask("adrenal_gland_right").sum() == 3 * 99
    assert collisions == [Collision("adrenal_gland_right", "liver", 2 * 99, "size")]


def test_what_lies_in_another_structure_is_no_conflict() -> None:
    given_masks = masks(liver=box((0, 8)), liver_tumor=box((5, 9)), inferior_vena_cava=box((7, 8)))
    claims = {"liver": ORIGINAL, "liver_tumor": PSEUDO, "inferior_vena_cava": PSEUDO}
    found, collisions = resolved(given_masks.select(["liver", "inferior_vena_cava"]), claims)
    assert collisions == []
    found, collisions = resolved(given_masks, claims)
    assert {(c.winner, c.loser) for c in collisions} == {("inferior_vena_cava", "liver_tumor")}
    np.testing.assert_array_equal(found.mask("liver"), given_masks.mask("liver"))


STRUCTURES = ("liver", "stomach", "liver_tumor", "spleen", "colon", "rectum")


@given(st.integers(0, 2**32 - 1), st.lists(st.sampled_from([ORIGINAL, REVISED, PSEUDO]), min_size=6, max_size=6))
def test_afterwards_nothing_is_shared_that_may_not_be_and_nothing_is_gained(seed: int, kinds: list[Claim]) -> None:
    drawn = np.random.default_rng(seed)
    given_masks = Segmentation.from_masks(
        GRID, {name: drawn.random(GRID.shape) < drawn.random() * 0.7 for name in STRUCTURES}
    )
    claims = dict(zip(STRUCTURES, kinds, strict=True))
    found, collisions = resolved(given_masks, claims)
    union_before, union_after = np.zeros(GRID.shape, bool), np.zeros(GRID.shape, bool)
    for name in STRUCTURES:
        assert not (found.mask(name) & ~given_masks.mask(name)).any()
        union_before |= given_masks.mask(name)
        union_after |= found.mask(name)
    np.testing.assert_array_equal(union_before, union_after)  # every voxel stays with somebody
    for one, other in product(STRUCTURES, STRUCTURES):
        if not may_share_voxels(one, other):
            assert not (found.mask(one) & found.mask(other)).any()
    best = min(kinds, key=lambda claim: claim.rank).rank
    for loser in {c.loser for c in collisions if c.rule == "priority"}:
        assert claims[loser].rank > best
    lost = {name: int(given_masks.mask(name).sum() - found.mask(name).sum()) for name in STRUCTURES}
    for name in STRUCTURES:
        assert lost[name] == sum(c.n_voxels for c in collisions if c.loser == name)


def test_an_organ_includes_its_tumor_unless_a_better_mask_says_otherwise() -> None:
    given_masks = masks(liver=box((0, 6)), liver_tumor=box((5, 8)))
    found = nested(given_masks, {"liver": 2, "liver_tumor": 0})
    np.testing.assert_array_equal(found.mask("liver"), box((0, 8)))
    np.testing.assert_array_equal(nested(given_masks, {"liver": 0, "liver_tumor": 2}).mask("liver"), box((0, 6)))


def test_each_piece_of_a_tumor_belongs_to_the_kidney_that_it_touches() -> None:
    """Upstream defect 19: tumors of one kidney were added to both."""
    tumor = box((2, 4), (0, 3), (0, 3)) | box((10, 12), (5, 8), (3, 6)) | box((6, 7), (9, 11), (8, 9))
    given_masks = masks(kidney_left=box((0, 3)), kidney_right=box((12, 13)), kidney_tumor=tumor)
    found = nested(given_masks, {"kidney_left": 2, "kidney_right": 2, "kidney_tumor": 2})
    np.testing.assert_array_equal(found.mask("kidney_left"), box((0, 3)) | box((2, 4), (0, 3), (0, 3)))
    np.testing.assert_array_equal(found.mask("kidney_right"), box((12, 13)) | box((10, 12), (5, 8), (3, 6)))
    np.testing.assert_array_equal(found.mask("kidney_tumor"), tumor)


def test_a_colon_tumor_is_colon_and_not_small_bowel() -> None:
    """Upstream defect 19: it was added to the intestine."""
    given_masks = masks(colon=box((0, 5)), small_bowel=box((7, 9)), colon_tumor=box((4, 7)))
    found = nested(given_masks, dict.fromkeys(given_masks.names, 2))
    np.testing.assert_array_equal(found.mask("colon"), box((0, 7)))
    np.testing.assert_array_equal(found.mask("small_bowel"), box((7, 9)))


def test_a_union_includes_its_parts_through_all_levels() -> None:
    given_masks = masks(lungs=box((0, 1)), lung_left=box((2, 3)), lung_upper_lobe_left=box((4, 5)))
    found = nested(given_masks, dict.fromkeys(given_masks.names, 0))
    np.testing.assert_array_equal(found.mask("lung_left"), box((2, 3)) | box((4, 5)))
    np.testing.assert_array_equal(found.mask("lungs"), box((0, 1)) | box((2, 3)) | box((4, 5)))


def test_what_lies_in_another_is_painted_last_and_the_small_after_the_large() -> None:
    given_masks = masks(
        portal_vein_and_splenic_vein=box((3, 4)), liver_tumor=box((2, 8)), liver=box((2, 7)), spleen=box((9, 10))
    )
    order = painting_order(given_masks.n_voxels())
    assert order.index("liver") < order.index("portal_vein_and_splenic_vein")
    assert order[-1] == "liver_tumor"


@pytest.mark.parametrize("shape_k", [1, 16, 17, 40])
def test_slabs_do_not_show(shape_k: int) -> None:
    from tests.volume.strategies import oblique_grid

    grid = oblique_grid("RAS", shape=(4, 3, shape_k))
    drawn = np.random.default_rng(shape_k)
    given_masks = {name: drawn.random(grid.shape) < 0.5 for name in ("liver", "spleen")}
    found, _ = resolved(Segmentation.from_masks(grid, given_masks), {"liver": PSEUDO, "spleen": ORIGINAL})
    np.testing.assert_array_equal(found.mask("spleen"), given_masks["spleen"])
    np.testing.assert_array_equal(found.mask("liver"), given_masks["liver"] & ~given_masks["spleen"])
