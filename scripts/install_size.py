"""Measure what an environment takes on disk, by distribution; run it with the environment's own Python.

.venv-light/bin/python scripts/install_size.py --at-most-mb 800 --without torch
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from importlib.metadata import Distribution, distributions
from importlib.util import find_spec
from pathlib import Path
from sysconfig import get_path


def main() -> None:
    """Print a Markdown table of sizes; exit with 1 when the environment is too big or holds what it must not."""
    parser = argparse.ArgumentParser(description="Measure what this Python's packages take on disk.")
    parser.add_argument("--at-most-mb", type=float, help="fail when the packages take more")
    parser.add_argument("--without", action="append", default=[], help="fail when this module can be imported")
    parser.add_argument("--rows", type=int, default=15, help="how many distributions to name")
    wanted = parser.parse_args()

    total_mb = _megabytes(Path(get_path("purelib")).rglob("*"))
    named = sorted(((_own_mb(one), one.name, one.version) for one in distributions()), reverse=True)[: wanted.rows]
    print("| package | version | MB |\n| --- | --- | ---: |")
    for size_mb, name, version in named:
        print(f"| {name} | {version} | {size_mb:.0f} |")
    print(f"| all others | | {total_mb - sum(size for size, *_ in named):.0f} |")
    print(f"| **together** | | **{total_mb:.0f}** |")

    faults = [f"{name} can be imported, and must not be there" for name in wanted.without if find_spec(name)]
    if wanted.at_most_mb is not None and total_mb > wanted.at_most_mb:
        faults.append(f"the packages take {total_mb:.0f} MB; at most {wanted.at_most_mb:.0f} MB are promised")
    sys.exit("; ".join(faults) or None)


def _own_mb(distribution: Distribution) -> float:
    files = distribution.files or []
    return _megabytes(Path(str(distribution.locate_file(file))) for file in files)


def _megabytes(paths: Iterable[Path]) -> float:
    """Add up disk blocks as `du` does, in units of 10^6 bytes."""
    return sum(path.lstat().st_blocks * 512 for path in paths if path.is_file() and not path.is_symlink()) / 1e6


if __name__ == "__main__":
    main()
