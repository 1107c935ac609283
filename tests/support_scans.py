"""A torso small enough for a test: skin, fat, muscle, a liver and a spleen of known HU, as NIfTI or DICOM."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ctatlas.volume import Grid, Volume
from tests.support_models import tiny_model
from tests.volume.formats.dicom.phantom import Phantom, set_stored

SHAPE = (72, 52, 31)
SPACING_MM = (5.0, 5.5, 6.0)
HU = {"small_bowel": 40.0, "liver": 180.0, "spleen": 320.0}  # small_bowel stands for all other soft tissue
# RAS: index 0 grows toward the patient's right, where the liver is
LIVER = ((42, 58), (18, 34), (8, 22))
SPLEEN = ((12, 22), (12, 24), (6, 16))
CARD = """
[calibrated]
structures = ["body"]

[[rules]]
kind = "keep_largest"
structures = ["liver", "spleen"]
source = "test"
"""


def torso(*, spleen_hu: float = HU["spleen"], noise_hu: float = 4.0, seed: int = 0) -> Volume:
    """Return a scan in RAS order."""
    x, y = (np.linspace(-1, 1, n)[:, None] for n in SHAPE[:2])
    radius = np.sqrt((x / 0.86) ** 2 + (y.T / 0.8) ** 2)
    plane = np.select([radius < 0.85, radius < 1], [HU["small_bowel"], -100.0], -1000.0)
    hu = np.repeat(plane[:, :, None], SHAPE[2], axis=2)
    for box, value in ((LIVER, HU["liver"]), (SPLEEN, spleen_hu)):
        hu[tuple(slice(*ends) for ends in box)] = value
    hu += np.random.default_rng(seed).normal(0, noise_hu, SHAPE)
    affine = np.diag([*SPACING_MM, 1.0])
    affine[:3, 3] = (-178.0, -140.0, -320.0)
    return Volume(np.asfortranarray(np.rint(hu).clip(-1024, 3071).astype(np.int16)), Grid(SHAPE, affine))


def box_mask(box: tuple[tuple[int, int], ...]) -> np.ndarray:
    """Return the voxels of a box, in RAS order."""
    mask = np.zeros(SHAPE, bool)
    mask[tuple(slice(*ends) for ends in box)] = True
    return mask


def torso_model(folder: Path, *, status: str = "usable", name: str = "test/torso") -> Path:
    """Write a model that finds the liver and spleen of `torso`; its small bowel is experimental."""
    tiny_model(folder, ("small_bowel", "liver", "spleen"), hu=HU, name=name, extra=CARD)
    card = folder / "card.toml"
    text = card.read_text()
    for structure, level in (("small_bowel", "experimental"), ("spleen", status)):
        text = text.replace(f'name = "{structure}"', f'name = "{structure}"\nstatus = "{level}"')
    card.write_text(text)
    return folder


def write_dicom(volume: Volume, folder: Path, *, lean_mm: float = 0.0, **changes: object) -> Path:
    """Write a scan as a DICOM series; `changes` are elements that should differ, such as Modality="MR".

    With `lean_mm` every slice lies that much further back than the one below, as if the gantry were tilted.
    """
    scan = volume.reoriented("LPS")
    i_mm, j_mm, k_mm = scan.grid.spacing_mm
    first = scan.grid.affine[:3, 3] * (-1, -1, 1)

    def change(k: int, dataset: object) -> None:
        set_stored(dataset, scan.array[:, :, k].T.astype(int) + 1024)  # type: ignore[arg-type]
        for name, value in changes.items():
            setattr(dataset, name, value)

    phantom = Phantom(
        n_slices=scan.grid.shape[2],
        spacing_mm=(j_mm, i_mm),
        step_mm=k_mm,
        first_mm=tuple(first),
        position=lambda k, regular: regular + np.array([0.0, k * lean_mm, 0.0]),
        change=change,
    )
    return phantom.write(folder)
