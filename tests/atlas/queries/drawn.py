"""Places drawn at random."""

from ctatlas.atlas.queries import Candidate, Candidates
from ctatlas.kernels.boxes import Box

NAMES = ("liver", "spleen", "aorta")


def candidate(rng, row=0, **told):
    """Draw one place; what is told is not drawn."""
    drawn = {
        "case": f"case-{rng.integers(5)}",
        "structure": str(rng.choice(NAMES)),
        "box": Box((row, 0, 0), (row + 1, 3, 2)),
        "minutes": float(rng.uniform(0.3, 2)),
        "gain": float(rng.uniform(0, 1)),
        "attention_ml": float(rng.choice([0, 3, 7])),
        "entropy": float(rng.uniform(0, 1)),
        "class_entropy": float(rng.uniform(0, 1)),
        "bald": float(rng.uniform(0, 1)),
        "foreground_ml": float(rng.choice([0, 20, 90])),
        "border_ml": float(rng.choice([0, 2, 9])),
        "patches": rng.uniform(0, 1, 27),
    }
    return Candidate(**drawn | told)


def places(n, rng):
    """Draw so many places."""
    return Candidates.of(candidate(rng, row) for row in range(n))
