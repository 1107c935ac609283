import pytest

from ctatlas.anatomy import ancestors, holders, label_set, may_share_voxels, structures

UNIVERSAL = tuple(label_set("universal-32").labels.values())


def test_what_lies_in_what_is_transitive_and_never_in_itself() -> None:
    for name in structures():
        assert name not in ancestors(name)
        assert all(ancestors(other) <= ancestors(name) for other in ancestors(name))


def test_sharing_does_not_depend_on_who_is_asked() -> None:
    for one in UNIVERSAL:
        for other in UNIVERSAL:
            assert may_share_voxels(one, other) == may_share_voxels(other, one)


@pytest.mark.parametrize(
    ("one", "other", "allowed"),
    [
        ("liver", "liver_tumor", True),
        ("kidney_left", "kidney_tumor", True),
        ("lung_left", "lung_upper_lobe_left", True),
        ("portal_vein_and_splenic_vein", "pancreas", True),
        ("lungs", "kidneys", False),
        ("kidney_left", "kidney_right", False),
        ("liver", "kidney_tumor", False),
        ("vertebrae_L1", "vertebrae_L2", False),
    ],
)
def test_voxels_are_shared_where_anatomy_allows(one: str, other: str, *, allowed: bool) -> None:
    assert may_share_voxels(one, other) is allowed


# Source: the nesting of AbdomenAtlas's training targets (reference/abdomenatlas.md §1.6), its defect 19 corrected: a
# colon tumor lies in the colon, not in the small bowel.
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("hepatic_vessel", {"liver"}),
        ("liver_tumor", {"liver"}),
        ("hepatic_vessel_tumor", {"liver"}),
        ("pancreas_tumor", {"pancreas"}),
        ("kidney_tumor", {"kidney_left", "kidney_right"}),
        ("kidney_cyst", {"kidney_left", "kidney_right"}),
        ("lung_tumor", {"lung_left", "lung_right"}),
        ("colon_tumor", {"colon"}),
        ("portal_vein_and_splenic_vein", set()),
        ("spleen", set()),
    ],
)
def test_what_includes_what_among_the_universal_32(name: str, expected: set[str]) -> None:
    assert set(holders(name, UNIVERSAL)) == expected


def test_unions_include_their_parts_and_neighbours_do_not() -> None:
    assert holders("vertebrae_L1", ["vertebrae_L2", "vertebrae", "spleen"]) == ("vertebrae",)
    assert holders("kidney_left", ["kidney_right", "kidneys"]) == ("kidneys",)
    assert holders("vertebrae_S1", ["sacrum", "hip_left"]) == ()
    assert holders("kidney_cyst_left", ["kidney_left", "kidney_right", "kidney_cyst"]) == ("kidney_left", "kidney_cyst")
