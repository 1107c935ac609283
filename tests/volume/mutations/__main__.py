"""Try damaged inputs: `python -m tests.volume.mutations COUNT [FIRST]`; one number again: `… 1 NUMBER`."""

from __future__ import annotations

import os
import sys
import time
from functools import partial
from pathlib import Path

from tests.volume.mutations.corpus import seeds
from tests.volume.mutations.mutate import mutation
from tests.volume.mutations.workers import run


def main() -> int:
    """Run and print what went wrong."""
    count, first = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    told = os.environ.get("CTATLAS_SHARED_DATA", "../shared/data")
    fixtures = Path(told) / "fixtures"
    started = time.monotonic()
    known = seeds(fixtures if fixtures.is_dir() else None)
    failures, counts = run(
        range(first, first + count), partial(mutation, seeds=known), int(os.environ.get("JOBS", "1"))
    )
    for failure in failures:
        print(failure)  # noqa: T201
    print(f"{count} damaged inputs of {len(known)} seeds in {time.monotonic() - started:.0f} s: {counts},"  # noqa: T201
          f" {len(failures)} failures")  # fmt: skip
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
