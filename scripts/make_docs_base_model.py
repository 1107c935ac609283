"""Make the pictures of the manual's page on the bundled model's evaluation.

Run it from the root of the repository, after the benchmark whose figures it illustrates:
python scripts/make_docs_base_model.py build/base_model.json [--data ../shared/data]
Every real torso with the outlines of all that the model finds in it and that its card does not call unusable; and the
worst structures of the benchmark's cases, each with reference and finding. What is worst is read from the figures.

Attributions of the scans are on the page, `docs/base-model-evaluation.md`.
"""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from make_docs_pictures import HALO, INK, PAPER, TARGET, YELLOW, drawn, save
from matplotlib.figure import Figure
from PIL import Image

import ctatlas
from ctatlas.results.preview import WINDOW_HU, preview
from ctatlas.training.evaluation.cases import Case, label_maps, phantoms, real
from ctatlas.training.evaluation.position import PAIRS
from ctatlas.training.evaluation.scores import comparable, find
from ctatlas.training.evaluation.store import Store
from ctatlas.training.evaluation.torsos import torsos
from ctatlas.volume import box_of

if TYPE_CHECKING:
    import numpy as np

FOUND = "#35c8ff"
WIDTH_PIXELS = 860
N_WORST, N_INVENTED = 6, 2
AT_LEAST_ML = 5.0  # of a structure worth a picture


def torso(case: Case, models: Sequence[str], told: str) -> Image.Image:
    """Draw three planes of a scan with everything found."""
    found = ctatlas.segment(case.volume, model=models)
    found = found.select([name for name in found.names if name != "body"])
    picture = Image.open(io.BytesIO(preview(case.volume, found, title=f"{case.name}{told}")))
    size = (WIDTH_PIXELS, picture.height * WIDTH_PIXELS // picture.width)
    return picture.resize(size, Image.Resampling.LANCZOS)


def worst(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of lowest Dice, at most one a structure, and those of the largest organs invented."""
    present = [row for row in rows if row["dice"] is not None and row["reference_ml"] >= AT_LEAST_ML]
    present = [row for row in present if row["structure"] not in PAIRS]  # each side is there on its own
    by_structure = {row["structure"]: row for row in sorted(present, key=lambda row: -row["dice"])}
    low = sorted(by_structure.values(), key=lambda row: row["dice"])[:N_WORST]
    invented = sorted(rows, key=lambda row: -row["invented_ml"])[:N_INVENTED]
    return low + [row for row in invented if row["invented_ml"] > 0]


def failures(rows: Sequence[dict[str, Any]], cases: dict[str, Case], models: Sequence[str]) -> Image.Image:
    """Draw reference and finding of each row, on the axial slice where they differ most."""
    figure = Figure(figsize=(9.2, 5.2), facecolor=PAPER)
    for place, row in enumerate(rows):
        pane = figure.add_subplot(2, (len(rows) + 1) // 2, place + 1)
        case = cases[row["case"]]
        truth, found = comparable(case.truth, find(case.volume, models))
        scan = case.volume.reoriented("LPI")
        true, seen = (s.select([row["structure"]]).reoriented("LPI").mask(row["structure"]) for s in (truth, found))
        k = int((true ^ seen).sum(axis=(0, 1)).argmax())
        aspect = scan.grid.spacing_mm[1] / scan.grid.spacing_mm[0]
        pane.imshow(scan.array[:, :, k].T, cmap="gray", vmin=WINDOW_HU[0], vmax=WINDOW_HU[1], aspect=aspect)
        for mask, color in ((true, YELLOW), (seen, FOUND)):
            if mask[:, :, k].any():
                pane.contour(mask[:, :, k].T, levels=[0.5], colors=[color], linewidths=1.2)
        around(pane, scan.array, true | seen, k)
        score = f"Dice {row['dice']:.2f}" if row["dice"] is not None else f"{row['invented_ml']:.0f} mL invented"
        pane.set_title(f"{row['structure']}\n{row['case']}, {score}", color=INK, fontsize=8)
        pane.set_axis_off()
    figure.text(0.01, 0.01, "reference", color=YELLOW, fontsize=9, path_effects=HALO)
    figure.text(0.08, 0.01, "found", color=FOUND, fontsize=9, path_effects=HALO)
    figure.subplots_adjust(left=0.01, right=0.99, top=0.92, bottom=0.04, wspace=0.04, hspace=0.2)
    return drawn(figure)


def around(pane: Any, array: np.ndarray, masks: np.ndarray, k: int) -> None:
    """Show a square of at least half the scan's width around the structure."""
    box = box_of(masks[:, :, k : k + 1])
    if box is None:
        return
    middle = [(extent.start + extent.stop) / 2 for extent in box[:2]]
    half = max(max(extent.stop - extent.start for extent in box[:2]) * 0.8, array.shape[0] / 4)
    pane.set_xlim(max(middle[0] - half, 0), min(middle[0] + half, array.shape[0] - 1))
    pane.set_ylim(min(middle[1] + half, array.shape[1] - 1), max(middle[1] - half, 0))


def main() -> None:
    """Draw every torso and the failures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("figures", type=Path)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--store", type=Path, default=Path("build/evaluation"))
    parser.add_argument("--label-maps", type=int, default=8, help="as many as the benchmark was asked for")
    parser.add_argument("--target", type=Path, default=TARGET)
    args = parser.parse_args()
    told = json.loads(args.figures.read_text())
    models, held_out = told["model"], told["held_out"]
    labelled = [real(args.data, "lidc-0001"), real(args.data, "ts-example", "held out")]
    for case in [*labelled, *torsos(args.data)]:
        seen = case.name == "ts-example" and models != [held_out]
        save(torso(case, models, " (a training scan)" if seen else ""), args.target / f"base-{case.name}.png")
    store, rows = Store(args.store), worst(told["rows"])
    wanted = {row["case"] for row in rows}
    n = max((int(name.rpartition("-")[2]) + 1 for name in wanted if name.startswith("phantom-")), default=0)
    drawings = [*phantoms(store, n), *label_maps(store, args.data, args.label_maps)]
    cases = {case.name: case for case in [*labelled, *torsos(args.data), *drawings]}
    save(failures(rows, cases, models), args.target / "base-failures.png")


if __name__ == "__main__":
    main()
