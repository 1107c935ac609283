"""Series with any mixture of defects: what is read lies where its headers say, and all else is one line."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import event, given
from hypothesis import strategies as st

from ctatlas.errors import ScanError
from ctatlas.volume import AS_IT_IS, Choices, Volume, read
from tests.volume.formats.dicom.phantom import Phantom
from tests.volume.formats.dicom.test_defects import FIELD, largest_error_hu_inside, with_field
from tests.volume.strategies import rotation

N = 9
HALF_PIXEL_LEAN = "taken for upright"  # such series are off by up to half a pixel, and say so


@st.composite
def phantoms(draw: st.DrawFn) -> Phantom:
    """Draw a series: any orientation, spacing and order of files; it may lean, lack slices and change its distance."""
    row, column, _ = rotation(draw(st.integers(0, 2**32 - 1)))
    step_mm = draw(st.floats(0.5, 8.0))
    lean = np.tan(np.radians(draw(st.sampled_from([0, 0, 0.5, 3, 14, 22, 38, 55]))))
    angle = draw(st.floats(0, 2 * np.pi))
    widened_from, widened_mm = draw(st.integers(1, N)), step_mm * draw(st.sampled_from([0, 0, 0.6, 1.4, 7]))
    order = draw(st.permutations(range(N)))
    aside = np.cos(angle) * row + np.sin(angle) * column
    normal = np.cross(row, column)

    def position(k: int, regular: np.ndarray) -> np.ndarray:
        further = widened_mm * max(0, k - widened_from)
        return regular + normal * further + aside * lean * (step_mm * k + further)

    return Phantom(
        N,
        spacing_mm=(draw(st.floats(0.4, 3.0)), draw(st.floats(0.4, 3.0))),
        step_mm=step_mm,
        row=tuple(row),
        column=tuple(column),
        position=position,
        name=lambda k: f"IM{order[k]}",
        without=tuple(draw(st.sets(st.integers(1, N - 2), max_size=5))),
    )


def outcome(folder: Path, choices: Choices) -> Volume | str:
    try:
        return read(folder, choices)
    except ScanError as refusal:
        assert str(refusal).isprintable()  # noqa: PT017
        return str(refusal)


@given(phantoms())
def test_a_series_is_read_right_or_refused(phantom: Phantom) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = with_field(phantom).write(Path(place) / "ct")
        plain, mended = outcome(folder, AS_IT_IS), outcome(folder, Choices(repair=True))
    hint = isinstance(plain, str) and plain.endswith("--repair")
    assert hint == (isinstance(plain, str) and isinstance(mended, Volume))
    for scan in (plain, mended):
        if isinstance(scan, Volume):
            leans = any(HALF_PIXEL_LEAN in note for note in scan.facts.notes)
            may_be_off = 0.5 * min(phantom.spacing_mm) * np.linalg.norm(FIELD) if leans else 0
            assert largest_error_hu_inside(scan, phantom) < 0.7 + may_be_off
            assert (scan.array != -1024).all() or any("gantry tilt" in line for line in scan.facts.repairs)
            assert not scan.grid.is_sheared
    event("read" if isinstance(plain, Volume) else "mended" if hint else "refused")
