"""The published arithmetic: by hand, against the plain oracle, against what the published program itself gave."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctatlas.anatomy import label_set
from ctatlas.atlas.attention import (
    Boxed,
    published_attention,
    published_csv,
    published_entropy,
    published_overlaps,
    published_rules,
    published_sizes,
    published_targets,
    published_total,
)
from tests.reference import published_attention as oracle

SHAPE = (11, 9, 8)


def of_blocks(*blocks):
    """Make maps (model, i, j, k) uint8: everything 0 but blocks ((model or ..., slices), value)."""
    maps = np.zeros((3, *SHAPE), np.uint8)
    for model, where, value in blocks:
        maps[(model, *where)] = value
    return maps


def block(lo, hi):
    return tuple(slice(a, b) for a, b in zip(lo, hi, strict=True))


def maps_of(soft, entropy, overlap=None):
    marked = np.zeros(soft.shape[1:], np.uint8) if overlap is None else overlap
    shape = soft.shape[1:]
    boxed_overlap = Boxed.of(marked) if marked.any() else Boxed.zeros(shape, Boxed.of(marked).box, np.uint8)
    return published_attention([Boxed.of(each) for each in soft], [Boxed.of(each) for each in entropy], boxed_overlap)


def test_five_voxels_thick_stay_and_the_numbers_are_those_of_the_formula():
    cube = block((2, 2, 1), (7, 7, 6))
    soft = of_blocks((0, cube, 255), (1, cube, 255))  # yes, yes, no: standard deviation sqrt(2)/3
    found = maps_of(soft, np.zeros_like(soft))
    assert found.size == 125
    assert found.inconsistency.whole()[cube].tolist() == np.full((5, 5, 5), int(255 * np.sqrt(2) / 3)).tolist()
    assert found.attention.whole()[cube].min() == 255  # scaled to the structure's own maximum
    assert found.heat == 125 * 255


def test_four_voxels_thick_are_wiped_out():
    thin = block((2, 2, 1), (7, 7, 5))
    soft = of_blocks((0, thin, 255))
    found = maps_of(soft, np.zeros_like(soft))
    assert (found.size, found.heat) == (0, 0)


def test_the_border_of_the_scan_counts_as_empty():
    at_border = block((0, 2, 1), (5, 7, 6))
    entropy = of_blocks((..., at_border, 80))
    assert maps_of(np.zeros_like(entropy), entropy).size == 125
    narrower = block((0, 2, 1), (4, 7, 6))
    entropy = of_blocks((..., narrower, 80))
    assert maps_of(np.zeros_like(entropy), entropy).size == 0


def test_models_that_agree_on_an_error_are_not_seen():
    missed = block((2, 2, 1), (9, 8, 7))
    soft = of_blocks((..., missed, 8))  # 0.03 for an organ that is there
    assert maps_of(soft, np.zeros_like(soft)).size == 0


def test_a_single_voxel_of_overlap_gets_full_heat():
    overlap = np.zeros(SHAPE, np.uint8)
    overlap[3, 4, 5] = 1
    nothing = np.zeros((3, *SHAPE), np.uint8)
    found = maps_of(nothing, nothing, overlap)
    assert (found.size, found.heat) == (1, 255)


def test_one_model_has_no_inconsistency():
    soft = of_blocks((0, block((1, 1, 1), (8, 8, 7)), 128))[:1]
    assert maps_of(soft, np.zeros_like(soft)).inconsistency.values.sum() == 0


def test_an_empty_map_stays_zero_where_the_original_divides_by_zero():
    nothing = np.zeros((2, *SHAPE), np.uint8)
    assert maps_of(nothing, nothing).attention.whole().max() == 0


@given(
    st.integers(0, 2**32 - 1), st.integers(1, 4), st.sampled_from([(0, 26, 51, 77, 128), (12, 13, 25, 26), (255, 0)])
)
def test_it_is_the_oracle_voxel_by_voxel(seed, n_models, levels):
    rng = np.random.default_rng(seed)
    coarse = rng.choice(levels, (2, n_models, 3, 3, 2)).astype(np.uint8)  # two models 51 apart meet 0.1 exactly
    soft, entropy = coarse.repeat(5, axis=2).repeat(4, axis=3).repeat(5, axis=4)[..., :13, :11, :9]
    overlap = rng.random(soft.shape[1:]) < 0.1
    expected = oracle.attention(soft, entropy, overlap, [overlap])
    found = maps_of(soft, entropy, overlap.astype(np.uint8))
    assert found.size == expected.size
    for name in ("attention", "inconsistency", "uncertainty", "overlap"):
        assert (getattr(found, name).whole() == getattr(expected, name)).all(), name


def test_vessels_are_no_rivals_of_each_other():
    both = np.zeros(SHAPE, bool)
    both[4:6, 4:6, 4:6] = True
    masks = {name: Boxed.of(both) for name in ("aorta", "inferior_vena_cava", "liver")}
    marked = dict(published_overlaps(masks, ["aorta", "liver"], SHAPE))
    assert marked["aorta"].values.sum() == 8  # with the liver
    assert marked["liver"].values.sum() == 0


def test_entropy_is_minus_p_ln_p_and_no_more():
    told = published_entropy(np.array([0, 26, 94, 128, 204, 230, 255], np.uint8)) / 255
    assert told == pytest.approx([0, 0.230, 0.368, 0.347, 0.179, 0.095, 0], abs=0.005)


def test_annotated_structures_are_never_checked():
    left = published_targets(label_set("chaos-ct").annotated)
    assert "liver" not in left
    assert len(left) == 8


def test_the_list_has_no_header_and_the_published_spelling():
    sizes = {
        "a": {"gallbladder": (3, 20), "inferior_vena_cava": (4, 90), "liver": (0, 0)},
        "b": {"gallbladder": (9, 5), "liver": (0, 0)},
    }
    assert published_csv(sizes) == "b,gall_bladder\na,postcava,gall_bladder\n"


def test_the_total_scales_each_structure_and_divides_by_slices():
    overlap = np.zeros(SHAPE, np.uint8)
    overlap[3, 4, 5:7] = 1
    nothing = np.zeros((3, *SHAPE), np.uint8)
    found = maps_of(nothing, nothing, overlap)
    assert published_total([found, maps_of(nothing, nothing)], SHAPE[2]) == pytest.approx(2 / 8)


@pytest.fixture(scope="session")
def upstream(shared_data):
    path = shared_data.parent / "reference" / "golden" / "attention_upstream.npz"
    if not path.is_file():
        pytest.skip("the vectors of the published program are not here")
    return np.load(path)


def test_it_is_what_the_published_program_gave(upstream):
    names = label_set("universal-32").labels
    lists = {}
    for case in ("c1", "c2", "c3"):
        shape = tuple(upstream["shape"].tolist())
        masks = np.unpackbits(upstream[f"{case}_seg"])[: np.prod(shape)].reshape(shape)
        boxed = {names[number]: Boxed.of(mask) for number, mask in enumerate(masks, start=1)}
        targets = [names[number] for number in upstream["target_ids"].tolist()]
        found = {}
        for n, (name, overlap) in enumerate(published_overlaps(boxed, targets, shape[1:])):
            soft, entropy = (
                [Boxed.of(each) for each in upstream[f"{case}_{kind}"][:, n]] for kind in ("soft", "entropy")
            )
            found[name] = published_attention(soft, entropy, overlap)
            for kind in ("attention", "inconsistency", "uncertainty", "overlap"):
                assert (getattr(found[name], kind).whole() == upstream[f"{case}_{kind}"][n]).all(), (case, name, kind)
        lists[case] = published_sizes(found)
    assert published_csv(lists) == bytes(upstream["priority_csv"]).decode()
    assert sum(size for size, _ in lists["c1"].values()) == 599  # overlap alone: the opening left nothing else


def test_the_table_names_structures_that_the_label_set_has():
    rules = published_rules()
    assert len(rules.targets) == 9
    assert len(rules.rivals) == 20
    assert {rules.native_name(name) for name in rules.targets + rules.rivals} <= set(
        label_set("universal-32").native_names.values()
    )
