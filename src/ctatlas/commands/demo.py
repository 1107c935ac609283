"""`ctatlas demo`: a real scan that comes with the package, from voxels to a picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ctatlas.commands.console import say
from ctatlas.commands.options import AsJson, Debug, Quiet

if TYPE_CHECKING:
    from ctatlas.execution.task import Work
    from ctatlas.progress import Progress

EXAMPLE = "ctatlas demo"
MODEL = "ctatlas/base"
DATA = Path(__file__).with_name("demo_data")
SCAN = DATA / "lidc-idri-0001_ct.nii.gz"
ATTRIBUTION = DATA / "ATTRIBUTION.txt"


def demo(
    out: Annotated[Path, typer.Argument(metavar="[OUT]", help="Where to put the results.")] = Path("ctatlas-demo"),
    *,
    json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Segment the sample CT that comes with ctatlas: masks, numbers and a picture, without a network connection."""
    from ctatlas.commands.cases import Manner, run_tasks
    from ctatlas.commands.scans import Job, say_scans, tasks_of
    from ctatlas.results import Extras

    extras = Extras(combined=True, statistics=True, preview=True)
    (task,) = tasks_of(Job(SCAN, out, MODEL, extras=extras))
    names = {"ct.nii.gz": SCAN, "ATTRIBUTION.txt": ATTRIBUTION}
    with_scan = replace(task, work=partial(_with_files, names, task.work), makes=[*task.makes, *names])
    if not (quiet or json):
        say(ATTRIBUTION.read_text(encoding="utf-8"))
    raise typer.Exit(run_tasks([with_scan], out, Manner(as_json=json, quiet=quiet, debug=debug), say_scans))


def _with_files(names: Mapping[str, Path], work: Work, folder: Path, progress: Progress) -> Mapping[str, object]:
    """Do the work, and put the scan and what must be said about it beside the results."""
    from ctatlas.volume import whole_file

    summary = work(folder, progress)
    for name, source in names.items():
        with whole_file(folder / name) as file:
            file.write(source.read_bytes())
    return summary
