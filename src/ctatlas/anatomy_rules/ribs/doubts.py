"""Why a numbering of ribs and vertebrae may be wrong: variants of the body, and scans that show no end of the spine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

from ctatlas.anatomy_rules.ribs.numbers import CERVICAL, LUMBAR, Pair, expected_mm, number_of, thoracic
from ctatlas.anatomy_rules.ribs.pieces import vertebra_names
from ctatlas.anatomy_rules.ribs.spine import Spine
from ctatlas.anatomy_rules.ribs.steps import Numbers

LUMBAR_COUNT = 5
SACRUM_MM = 45.0  # from the middle of the lowest lumbar vertebra to the top of the sacrum, at most


def doubts(pairs: Sequence[Pair], spine: Spine, step: Numbers, *, sacrum_down_mm: float | None) -> tuple[str, ...]:
    """Say why the numbers of ribs and vertebrae are uncertain; nothing where they are sure.

    Parameters
    ----------
    pairs : sequence of Pair
        The ribs at the spine, numbered, under the names that they bore before.
    spine : Spine
    step : Numbers
    sacrum_down_mm : float or None
        How far down the spine the sacrum begins; None where it is not in view.

    Source: variants and their shares in the population as in the reference, rib and vertebra repair §4.4.
    """
    return (
        *_no_anchor(spine, sacrum_down_mm),
        *_count(pairs, spine, step),
        *_lumbar(spine, sacrum_down_mm),
        *_left_out(spine),
        *_shifted(pairs, step),
        *_off_level(pairs, spine, step),
    )


def _no_anchor(spine: Spine, sacrum_down_mm: float | None) -> Iterator[str]:
    known = vertebra_names()
    top = known.index(spine.names[0]) < known.index("vertebrae_T1")
    if not top and sacrum_down_mm is None:
        yield "truncated view: neither the neck nor the sacrum is in it, so all numbers may be off by one or more"


def _count(pairs: Sequence[Pair], spine: Spine, step: Numbers) -> Iterator[str]:
    """Doubt 11 and 13 pairs of ribs, ribs at the neck and at lumbar vertebrae."""
    numbers = [pair.number for pair in pairs]
    for pair in pairs:
        longest = max(chain.length_mm for chain in pair.ribs)
        if pair.number == CERVICAL:
            yield f"ribs at C7 ({longest:.0f} mm long): cervical ribs, or all numbers are off by one"
        if pair.number == LUMBAR:
            kind = "a 13th pair" if longest >= step.long_mm else "lumbar ribs"
            yield f"ribs at L1 ({longest:.0f} mm long): {kind}, or all numbers are off by one"
    below = spine.names[-1]
    sees_below = vertebra_names().index(below) >= vertebra_names().index("vertebrae_L1")
    if sees_below and numbers and max(numbers) < 12:
        yield f"no rib at T12: {max(numbers)} pairs of ribs, or the lowest is not found"
    for pair in pairs:
        longest = max(chain.length_mm for chain in pair.ribs)
        if pair.number == 12 and longest < step.long_mm:
            yield f"the ribs at T12 are stumps ({longest:.0f} mm long): 11 pairs and a transitional vertebra, maybe"


def _lumbar(spine: Spine, sacrum_down_mm: float | None) -> Iterator[str]:
    """Doubt four or six lumbar vertebrae, which only the sacrum tells."""
    lumbar = [name for name in spine.names if vertebra_names().index(name) >= vertebra_names().index("vertebrae_L1")]
    if sacrum_down_mm is None or not lumbar:
        return
    gap_mm, pitch_mm = sacrum_down_mm - float(spine.levels_mm[-1]), spine.pitch_mm(float(spine.levels_mm[-1]))
    more = round(max(0.0, gap_mm - 0.6 * pitch_mm) / pitch_mm)
    lowest = vertebra_names().index(lumbar[-1]) - vertebra_names().index("vertebrae_L1") + 1
    if lowest + more != LUMBAR_COUNT:
        yield f"{lowest + more} lumbar vertebrae above the sacrum; {LUMBAR_COUNT} expected"


def _left_out(spine: Spine) -> Iterator[str]:
    if spine.contradictions:
        said = ", ".join(spine.contradictions)
        yield f"{said} left out where there is no room: vertebrae beyond are off by one, and ribs keep theirs"
    ranks = [vertebra_names().index(name) for name in spine.names]
    for a, b in pairwise(ranks):
        if b - a > 1:
            yield f"{', '.join(vertebra_names()[a + 1 : b])} left out between vertebrae in view"


def _shifted(pairs: Sequence[Pair], step: Numbers) -> Iterator[str]:
    """Doubt where ribs and vertebrae were numbered consistently but differently."""
    shifts = [pair.number - number_of(chain.name) for pair in pairs for chain in pair.ribs]
    shift, count = Counter(shifts).most_common(1)[0] if shifts else (0, 0)
    if shift and count >= step.renumber_at_least * len(shifts):
        yield f"{count} of {len(shifts)} ribs were numbered {-shift:+d} against the vertebrae: one of the two is off"


def _off_level(pairs: Sequence[Pair], spine: Spine, step: Numbers) -> Iterator[str]:
    for pair in pairs:
        off_mm = pair.down_mm - expected_mm(pair.number, spine)
        if abs(off_mm) > step.level_mm:
            side = "below" if off_mm > 0 else "above"
            vertebra = thoracic(pair.number)
            yield f"the ribs numbered {pair.number} begin {abs(off_mm):.0f} mm {side} their place at {vertebra}"
