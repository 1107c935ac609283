"""`ctatlas demo`: a real scan that comes with the package, from voxels to a picture; or the whole loop of an atlas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ctatlas.commands.console import say
from ctatlas.commands.options import AsJson, Debug, Quiet, flag

if TYPE_CHECKING:
    from ctatlas.atlas.rehearsal import Rehearsal, Told
    from ctatlas.execution.task import Work
    from ctatlas.progress import Progress

EXAMPLE = "ctatlas demo"
MODEL = "ctatlas/base"
MEMBERS = (MODEL, "ctatlas/base-b", "ctatlas/base-c")  # of the loop; where networks of other seeds differ, they err
DATA = Path(__file__).with_name("demo_data")
SCAN = DATA / "lidc-idri-0001_ct.nii.gz"
ATTRIBUTION = DATA / "ATTRIBUTION.txt"


def demo(
    out: Annotated[
        Path | None, typer.Argument(metavar="[OUT]", help="Where to put the results; default: ctatlas-demo.")
    ] = None,
    *,
    loop: Annotated[
        bool, flag("--loop", text="Make a small atlas instead, and let a simulated annotator correct it; a new OUT.")
    ] = False,
    json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Segment the sample CT that comes with ctatlas: masks, numbers and a picture, without a network connection.

    With --loop: the sample CT and four phantoms, whose truth is known, go once through all steps of an atlas, from
    predictions to a release; where the attention is highest a simulated annotator corrects them.
    """
    if loop:
        _loop(out or Path("ctatlas-loop"), as_json=json, quiet=quiet)
        return
    _segment(out or Path("ctatlas-demo"), as_json=json, quiet=quiet, debug=debug)


def _segment(out: Path, *, as_json: bool, quiet: bool, debug: bool) -> None:
    from ctatlas.commands.cases import Manner, run_tasks
    from ctatlas.commands.scans import Job, say_scans, tasks_of
    from ctatlas.pipeline import Team
    from ctatlas.results import Extras

    extras = Extras(combined=True, statistics=True, preview=True)
    (task,) = tasks_of(Job(SCAN, out, Team((MODEL,)), extras=extras))
    names = {"ct.nii.gz": SCAN, "ATTRIBUTION.txt": ATTRIBUTION}
    with_scan = replace(task, work=partial(_with_files, names, task.work), makes=[*task.makes, *names])
    if not (quiet or as_json):
        say(ATTRIBUTION.read_text(encoding="utf-8"))
    raise typer.Exit(run_tasks([with_scan], out, Manner(as_json=as_json, quiet=quiet, debug=debug), say_scans))


def _with_files(names: Mapping[str, Path], work: Work, folder: Path, progress: Progress) -> Mapping[str, object]:
    """Do the work, and put the scan and what must be said about it beside the results."""
    from ctatlas.atomic import whole_file

    summary = work(folder, progress)
    for name, source in names.items():
        with whole_file(folder / name) as file:
            file.write(source.read_bytes())
    return summary


def _loop(out: Path, *, as_json: bool, quiet: bool) -> None:
    """Go through the loop, and say what each step did and what the correction gained."""
    from ctatlas.atlas.rehearsal import Rehearsal, Sample, rehearse
    from ctatlas.commands.console import showing_progress

    if not (quiet or as_json):
        say(ATTRIBUTION.read_text(encoding="utf-8"))
    sample = Sample(SCAN, "CC BY 3.0", "Armato et al. 2015, LIDC-IDRI, https://doi.org/10.7937/K9/TCIA.2015.LO9QL9SX")
    with showing_progress(quiet=quiet) as progress:
        going = Rehearsal(out, MEMBERS, sample, progress=progress)
        told = list(rehearse(going))
    if as_json:
        _say_loop_json(going, told)
    elif not quiet:
        _say_loop(going, told)


def _say_loop(going: Rehearsal, told: Sequence[Told]) -> None:
    from ctatlas.commands.console import say_table

    say_table(["step", "what it did"], [[each.step, each.did] for each in told])
    say("")
    rows = [
        [
            each.case,
            f"{each.mean_before:.3f}",
            f"{each.mean_after:.3f}",
            str(len(each.before)),
            str(each.n_spots),
            f"{each.minutes:.1f}",
        ]
        for each in going.gains
    ]
    say_table(["corrected", "before Dice", "after Dice", "structures n", "hot spots n", "minutes n"], rows)
    say(f"\nMean Dice against the phantoms' truth. The picture: {going.picture}\nThe release: {going.release}")


def _say_loop_json(going: Rehearsal, told: Sequence[Told]) -> None:
    from dataclasses import asdict

    from ctatlas.commands.console import say_json

    steps = {each.step: each.did for each in told}
    gains = [asdict(each) | {"mean_before": each.mean_before, "mean_after": each.mean_after} for each in going.gains]
    say_json({"steps": steps, "corrected": gains, "picture": str(going.picture), "release": str(going.release)})
