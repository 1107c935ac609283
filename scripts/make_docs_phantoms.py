"""Make the picture of the manual's page on phantoms.

Run it from the root of the repository:  python scripts/make_docs_phantoms.py
It draws twelve people, each of one condition or another, and writes docs/pictures/phantoms.png.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from make_docs_pictures import INK, PAPER, TARGET, drawn, save
from matplotlib.figure import Figure

from ctatlas.synthesis.imaging import draw_scanner, render
from ctatlas.synthesis.intensities import draw_intensities
from ctatlas.synthesis.paint import paint
from ctatlas.synthesis.phantom import draw_phantom

STEP_MM = 1.6
WINDOW_HU = (-150, 250)
# What is written, seed, conditions, phase, height of the slice above L1 in mm
SHOWN: tuple[tuple[str, int, tuple[str, ...], str, float], ...] = (
    ("chest, arterial", 2, (), "arterial", 165),
    ("heart, portal venous", 2, (), "portal", 125),
    ("upper abdomen, native", 7, (), "native", 18),
    ("upper abdomen, arterial", 1, (), "arterial", 5),
    ("upper abdomen, portal venous", 7, (), "portal", 10),
    ("kidneys, delayed", 2, (), "delayed", -20),
    ("a child", 3, ("child",), "portal", 0),
    ("obese", 3, ("obese",), "portal", 0),
    ("situs inversus", 4, ("situs_inversus",), "portal", 15),
    ("no spleen, no left kidney", 6, ("splenectomy", "nephrectomy_left"), "portal", 0),
    ("ascites and free gas", 8, ("ascites", "free_gas"), "portal", -20),
    ("hip prosthesis", 2, ("hip_prosthesis_left",), "native", -248),
)


def slice_of(seed: int, conditions: tuple[str, ...], phase: str, height_mm: float) -> np.ndarray:
    """Draw one person and scan one slice, (left to right, front to back)."""
    rng = np.random.default_rng(seed)
    phantom = draw_phantom(rng, conditions=conditions)
    x, y = np.arange(-250, 250, STEP_MM), np.arange(-195, 150, STEP_MM)
    z = height_mm * phantom.scale + 2.5 * np.arange(-20, 21)  # lungs are closed along columns: some height is needed
    labels = paint(phantom, x, y, z)[:, :, 20:22]
    intensities = draw_intensities(rng, randomise=False, spread=1.0, phase=phase)
    scanner = replace(draw_scanner(rng), field_mm=None, noise_hu=9.0)
    return render(labels, intensities, scanner, (STEP_MM, STEP_MM, 5.0), thick=2)[:, :, 0]


def main() -> None:
    """Draw all panes."""
    figure = Figure(figsize=(10, 6.0), facecolor=PAPER)
    for place, (told, *person) in enumerate(SHOWN, start=1):
        pane = figure.add_subplot(3, 4, place)
        pane.imshow(slice_of(*person).T, cmap="gray", vmin=WINDOW_HU[0], vmax=WINDOW_HU[1])
        pane.set_title(told, color=INK, fontsize=8, pad=2)
        pane.set_axis_off()
    figure.subplots_adjust(left=0, right=1, top=0.97, bottom=0, wspace=0.02, hspace=0.08)
    save(drawn(figure), TARGET / "phantoms.png")


if __name__ == "__main__":
    main()
