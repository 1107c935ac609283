"""Make the numbers and the picture of the manual's page on evaluation.

Run it from the root of the repository:  python scripts/make_docs_evaluation.py ../shared/data
It segments LIDC-IDRI-0001 at 1.5 mm with the bundled model, which never saw it, evaluates that against the labels of
TotalSegmentator v2 on the same scan, prints the table, and writes docs/pictures/evaluation.png.

The scan is CC BY 3.0; its attribution is in src/ctatlas/commands/demo_data/ATTRIBUTION.txt.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from ctatlas.commands.app import run

SHOWN = "heart"
TARGET = Path("docs/pictures/evaluation.png")
AT_MOST_BYTES = 150_000


def main(data: Path) -> None:
    """Segment, evaluate, keep one picture."""
    labels, ct = data / "labelmaps/lidc-0001_labels_1p5mm.nii.gz", data / "torso_ct/lidc-0001_ct_1p5mm.nii.gz"
    with tempfile.TemporaryDirectory() as temporary:
        predictions, out = Path(temporary) / "predictions", Path(temporary) / "evaluation"
        words = ["evaluate", labels, predictions, "--label-set", "totalsegmentator-v2", "--images", ct, "--out", out]
        if run(["segment", str(ct), str(predictions), "--quiet"]) or run([*map(str, words), "--quiet"]):
            sys.exit("the example does not run")
        run([*map(str, words), "--worst", "0"])
        run([*map(str, words), "--quiet"])
        picture = Image.open(next((out / "worst").glob(f"*-{SHOWN}.png"))).convert("RGB")
        save(picture, TARGET)


def save(picture: Image.Image, path: Path) -> None:
    """Write a picture in 128 colours: grays for the scan, the rest for outlines, which are few pixels."""
    pixels = np.asarray(picture).reshape(-1, 3)
    vivid = pixels[np.ptp(pixels.astype(int), axis=1) > 40]
    outlines = Image.fromarray(vivid[None]).quantize(64, Image.Quantize.MAXCOVERAGE).getpalette() or []
    palette = Image.new("P", (1, 1))
    palette.putpalette([round(255 * n / 63) for n in range(64) for _ in "rgb"] + outlines[: 64 * 3])
    picture.quantize(palette=palette, dither=Image.Dither.NONE).save(path, optimize=True)
    if (size := path.stat().st_size) > AT_MOST_BYTES:
        sys.exit(f"{path}: {size} bytes, at most {AT_MOST_BYTES} are wanted")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
