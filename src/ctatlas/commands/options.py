"""Options that several commands share, so that they mean the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def flag(*names: str, text: str) -> Any:
    """Declare an option without a value; help would otherwise call for one."""
    return typer.Option(*names, metavar="", help=text)


AsJson = Annotated[bool, flag("--json", text="Print the result as JSON.")]
Quiet = Annotated[bool, flag("--quiet", "-q", text="No progress and no tables; errors are still told.")]
DryRun = Annotated[bool, flag("--dry-run", text="Say what would be done, how many files and bytes; write nothing.")]
Debug = Annotated[bool, flag("--debug", text="Show where in the code an error comes from.")]
Workers = Annotated[
    int, typer.Option("--workers", "-w", min=1, help="Cases to work on at once, each in a process of its own.")
]
Series = Annotated[
    str | None, typer.Option("--series", help="Which of several DICOM series: its number, UID or description.")
]
OnBackend = Annotated[
    str | None,
    typer.Option("--backend", help="What runs the network: onnxruntime, openvino, torch, … Default: the fastest here."),
]
Phase = Annotated[int | None, typer.Option("--phase", min=1, help="Which phase of a 4-D scan, counted from 1.")]
Repair = Annotated[
    bool,
    flag("--repair", text="Resample a scan that is tilted or sheared, incomplete or unevenly spaced."),
]

# Of the repair of ribs and vertebrae
WithoutSteps = Annotated[
    list[str] | None,
    typer.Option(
        "--without",
        metavar="STEP",
        help="Leave out a step of the repair of ribs: vertebrae, sides, fragments, numbers, gaps or joints.",
    ),
]
RepairLengths = Annotated[
    list[str] | None,
    typer.Option("--repair-length", metavar="STEP.NAME=MM", help="Repair ribs by another length: joints.reach_mm=50."),
]

# Of the steps of an atlas
AtlasFolder = Annotated[Path, typer.Argument(metavar="ATLAS", help="An atlas folder, made by 'ctatlas init'.")]
Cases = Annotated[
    list[str] | None, typer.Option("--case", "-c", metavar="ID", help="Only this case; may be given several times.")
]
ShardOf = Annotated[
    str | None,
    typer.Option("--shard", metavar="I/N", help="Only every N-th case from the I-th on: one job of N on an atlas."),
]
Timeout = Annotated[
    float | None, typer.Option("--timeout", min=1, metavar="SECONDS", help="Give a case up that takes longer.")
]
Retries = Annotated[int, typer.Option("--retries", min=0, help="Try a case that failed so often again.")]
