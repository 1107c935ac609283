"""Make the pictures of the manual: what ctatlas finds in its sample scan, drawn as it is found.

Run it from the root of the repository:  python scripts/make_docs_pictures.py
It segments the sample scan (half a minute) and writes docs/pictures/*.png.

The scan is LIDC-IDRI-0001 (CC BY 3.0); its attribution is in src/ctatlas/commands/demo_data/ATTRIBUTION.txt.
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from PIL import Image

import ctatlas
from ctatlas.results.preview import WINDOW_HU, best_planes, color_on_black, preview

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SCAN = Path("src/ctatlas/commands/demo_data/lidc-idri-0001_ct.nii.gz")
TARGET = Path("docs/pictures")
AT_MOST_BYTES = 150_000
INK, PAPER, YELLOW = "#e8e8e8", "#101010", "#ffd24a"
HALO = [withStroke(linewidth=2.5, foreground=PAPER)]
SIDED = ("lung_left", "lung_right", "kidney_left", "kidney_right", "liver")


def save(picture: Image.Image, path: Path) -> None:
    """Write a picture in 256 colours, and refuse a heavy one."""
    reduced = picture.convert("RGB").quantize(palette=palette_of(picture.convert("RGB")), dither=Image.Dither.NONE)
    reduced.save(path, optimize=True)
    size = path.stat().st_size
    if size > AT_MOST_BYTES:
        sys.exit(f"{path}: {size} bytes, at most {AT_MOST_BYTES} are wanted")
    print(f"{path}: {reduced.width} x {reduced.height}, {size} bytes")


def palette_of(picture: Image.Image, n_grays: int = 64) -> Image.Image:
    """Choose colours: even grays for the scan, the rest for outlines, which are too few pixels to be chosen else."""
    pixels = np.asarray(picture).reshape(-1, 3)
    vivid = pixels[np.ptp(pixels.astype(int), axis=1) > 40]
    colors = Image.fromarray(vivid[None]).quantize(256 - n_grays, Image.Quantize.MAXCOVERAGE).getpalette() or []
    palette = Image.new("P", (1, 1))
    palette.putpalette([round(255 * n / (n_grays - 1)) for n in range(n_grays) for _ in "rgb"] + colors)
    return palette


def drawn(figure: Figure) -> Image.Image:
    """Return a figure as a picture."""
    file = io.BytesIO()
    FigureCanvasAgg(figure).print_figure(file, format="png", facecolor=PAPER, dpi=100)
    return Image.open(file)


def preview_of_the_demo(scan: ctatlas.Volume, found: ctatlas.Segmentation) -> Image.Image:
    """Draw what `--preview` writes, at two thirds of its size."""
    picture = Image.open(io.BytesIO(preview(scan, found, title="the sample scan")))
    return picture.resize((picture.width * 2 // 3, picture.height * 2 // 3), Image.Resampling.LANCZOS)


def world_and_sides(scan: ctatlas.Volume, found: ctatlas.Segmentation) -> Image.Image:
    """Draw a coronal and an axial plane with world axes and the names of sides."""
    scan, found = scan.reoriented("RAS"), found.reoriented("RAS").select(SIDED)
    at = best_planes(found)
    figure = Figure(figsize=(9.6, 4.4), facecolor=PAPER)
    for place, (axis, letters) in enumerate(((1, "xz"), (2, "xy")), start=1):
        pane = figure.add_subplot(1, 2, place)
        plane(pane, scan, found, axis, at[axis])
        axes_of_the_world(pane, letters)
    figure.subplots_adjust(left=0.06, right=0.99, top=0.97, bottom=0.11, wspace=0.16)
    return drawn(figure)


def plane(pane: Axes, scan: ctatlas.Volume, found: ctatlas.Segmentation, axis: int, index: int) -> None:
    """Draw one plane of a RAS scan in world coordinates, x turned so that the patient's right is at the left."""
    columns, rows = (other for other in range(3) if other != axis)
    first, last = scan.grid.world((0, 0, 0)), scan.grid.world(np.array(scan.grid.shape) - 1)
    extent = (first[columns], last[columns], first[rows], last[rows])
    low, high = WINDOW_HU
    values = np.take(scan.array, index, axis=axis).T
    pane.imshow(values, cmap="gray", vmin=low, vmax=high, extent=extent, origin="lower", aspect="equal")
    for name, mask in found.items():
        cut = np.take(mask, index, axis=axis).T
        if cut.any():
            pane.contour(cut, levels=[0.5], colors=[color_on_black(name)], linewidths=1.4, extent=extent)
            row, column = np.argwhere(cut).mean(axis=0)
            x, y = (
                start + (end - start) * at / (n - 1)
                for start, end, at, n in zip(extent[::2], extent[1::2], (column, row), cut.shape[::-1], strict=True)
            )
            pane.text(x, y, name, color=INK, fontsize=8, ha="center", va="center", path_effects=HALO)
    pane.invert_xaxis()


def axes_of_the_world(pane: Axes, letters: str) -> None:
    """Name both axes, and what they grow to."""
    toward = {"x": "R", "y": "A", "z": "S"}
    pane.tick_params(colors=INK, labelsize=7)
    pane.set_xlabel(f"← {letters[0]} mm", color=INK, fontsize=9, labelpad=1)
    pane.set_ylabel(f"{letters[1]} mm →", color=INK, fontsize=9, labelpad=1)
    places = {toward[letters[0]]: (0.03, 0.5), "L": (0.97, 0.5), toward[letters[1]]: (0.5, 0.96)}
    for letter, (x, y) in places.items():
        pane.text(x, y, letter, transform=pane.transAxes, color=YELLOW, fontsize=13, fontweight="bold", ha="center",
                  va="center", path_effects=HALO)  # fmt: skip


def liver_on_its_slice(scan: ctatlas.Volume, found: ctatlas.Segmentation) -> Image.Image:
    """Draw what the tutorial's lines of Python draw."""
    liver = found.mask("liver")
    k = int(liver.sum(axis=(0, 1)).argmax())
    figure = Figure(figsize=(4.2, 4.2), facecolor=PAPER)
    pane = figure.add_axes((0, 0, 1, 1))
    pane.imshow(scan.array[:, :, k].T, cmap="gray", vmin=-160, vmax=240)
    pane.contour(liver[:, :, k].T, levels=[0.5], colors="orange")
    pane.set_axis_off()
    return drawn(figure)


def main() -> None:
    """Segment the sample scan and draw it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--target", type=Path, default=TARGET)
    target = parser.parse_args().target
    scan = ctatlas.read(SCAN)
    found = ctatlas.segment(scan)
    target.mkdir(parents=True, exist_ok=True)
    save(preview_of_the_demo(scan, found), target / "preview.png")
    save(world_and_sides(scan, found), target / "world.png")
    upright = scan.reoriented("LPS"), found.reoriented("LPS")
    save(liver_on_its_slice(*upright), target / "liver.png")


if __name__ == "__main__":
    main()
