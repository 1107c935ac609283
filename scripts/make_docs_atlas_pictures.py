"""Make the pictures of the atlas tutorial: a case of `ctatlas demo --loop` before and after its correction.

Run it from the root of the repository:  python scripts/make_docs_atlas_pictures.py
It goes through the loop (two minutes), or takes what a run left: --loop FOLDER. It writes docs/pictures/atlas-*.png.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from make_docs_pictures import save
from PIL import Image

from ctatlas.atlas.rehearsal import Rehearsal, rehearse
from ctatlas.commands.demo import MEMBERS

TARGET = Path("docs/pictures")


def draw(loop: Path, target: Path) -> None:
    """Write the picture of a loop in the size of the manual."""
    picture = Image.open(loop / "before-after.png")
    smaller = picture.resize((picture.width * 4 // 5, picture.height * 4 // 5), Image.Resampling.LANCZOS)
    target.mkdir(parents=True, exist_ok=True)
    save(smaller, target / "atlas-before-after.png")


def main() -> None:
    """Go through the loop, if nobody did, and draw it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--target", type=Path, default=TARGET)
    parser.add_argument("--loop", type=Path, help="what 'ctatlas demo --loop' left")
    given = parser.parse_args()
    if given.loop:
        draw(given.loop, given.target)
        return
    with tempfile.TemporaryDirectory() as folder:
        loop = Rehearsal(Path(folder) / "loop", MEMBERS)
        for told in rehearse(loop):
            print(f"{told.step}: {told.did}")
        draw(loop.out, given.target)


if __name__ == "__main__":
    main()
