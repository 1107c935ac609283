"""Fluid and gas where none should be: beside the lungs, around the organs of the belly, under its front wall."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ctatlas.synthesis.frame import Frame
from ctatlas.synthesis.subject import Subject
from ctatlas.synthesis.tables import tissue_id

BATHED = ("liver", "spleen", "stomach_wall", "colon_wall", "small_bowel_wall", "urinary_bladder_wall")
BELLY_MM = (-250.0, 80.0)  # where the peritoneum is, along the body from L1


def fill_with_fluid(labels: np.ndarray, frame: Frame, subject: Subject, cavity: np.ndarray) -> None:
    """Put a person's effusions, ascites and free gas into painted tissues."""
    _effusions(labels, frame, subject)
    fat = cavity & (labels == tissue_id("visceral_fat")) & _in_belly(frame)
    if subject.ascites_mm > 0:
        labels[fat & _near_organs(labels, frame, subject.ascites_mm)] = tissue_id("ascites")
    if subject.free_gas_mm > 0:
        labels[fat & _under_front_wall(cavity, frame, subject.free_gas_mm)] = tissue_id("free_gas")


def _effusions(labels: np.ndarray, frame: Frame, subject: Subject) -> None:
    """Fill the back of a lung's space with fluid."""
    for name, depth_mm in zip(("lung_right", "lung_left"), subject.effusion_mm, strict=True):
        lung = labels == tissue_id(name)
        if depth_mm <= 0 or not lung.any():
            continue
        back = frame.y[np.flatnonzero(lung.any(axis=(0, 2)))[-1]]
        labels[lung & (frame.y[None, :, None] > back - depth_mm)] = tissue_id("pleural_effusion")


def _in_belly(frame: Frame) -> np.ndarray:
    inside: np.ndarray = (frame.z > BELLY_MM[0]) & (frame.z < BELLY_MM[1])
    return inside[None, None, :]


def _near_organs(labels: np.ndarray, frame: Frame, reach_mm: float) -> np.ndarray:
    """Return what lies within a reach of the organs that ascites surrounds."""
    steps = [float(np.abs(np.diff(axis)).mean()) if len(axis) > 1 else 1.0 for axis in (frame.x, frame.y, frame.z)]
    organs = np.isin(labels, [tissue_id(name) for name in BATHED])
    if not organs.any():
        return organs
    reach = max(0.7 * reach_mm, *steps)
    return np.asarray(ndimage.distance_transform_edt(~organs, sampling=steps) <= reach)


def _under_front_wall(cavity: np.ndarray, frame: Frame, depth_mm: float) -> np.ndarray:
    """Return the front of the cavity, to a depth below its foremost point: gas rises, people lie on their back."""
    inside = np.flatnonzero((cavity & _in_belly(frame)).any(axis=(0, 2)))
    if not inside.size:
        return np.zeros((1, 1, 1), dtype=bool)
    front: np.ndarray = frame.y < frame.y[inside[0]] + depth_mm
    return front[None, :, None]
