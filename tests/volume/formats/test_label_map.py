from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn

from ctatlas.volume import read_labels, write_labels, write_structure
from ctatlas.volume.formats.label_map import ids_in
from ctatlas.volume.segmentation import Segmentation
from tests.volume.strategies import oblique_grid

GRID = oblique_grid()


@given(
    st.sampled_from([np.uint8, np.uint16]).flatmap(
        lambda kind: stn.arrays(kind, GRID.shape, elements=st.sampled_from([0, 1, 7, 200, np.iinfo(kind).max]))
    )
)
def test_the_ids_are_all_that_occur_but_zero(labels: np.ndarray) -> None:
    assert ids_in(np.asfortranarray(labels)) == [number for number in np.unique(labels).tolist() if number]


def test_labels_are_read_into_memory_that_fits_and_beside_any_other(tmp_path: Path) -> None:
    labels = np.random.default_rng(0).integers(0, 9, GRID.shape, np.uint8)
    write_labels(np.asfortranarray(labels), GRID, tmp_path / "labels.nii.gz")
    fitting, other = np.full(GRID.n_voxels, 77, np.uint8), np.full(GRID.n_voxels + 1, 77, np.uint8)
    for memory, is_used in ((fitting, True), (other, False)):
        found = read_labels(tmp_path / "labels.nii.gz", memory)
        np.testing.assert_array_equal(found.labels, labels)
        assert np.shares_memory(found.labels, memory) is is_used
    assert (other == 77).all()


def test_a_structure_is_written_and_counted(tmp_path: Path) -> None:
    mask = np.random.default_rng(1).random(GRID.shape) < 0.4
    masks = Segmentation.from_masks(GRID, {"other": ~mask, "liver": mask})
    assert write_structure(masks, "liver", tmp_path / "liver.nii.gz") == mask.sum()
    np.testing.assert_array_equal(read_labels(tmp_path / "liver.nii.gz").labels, mask)
