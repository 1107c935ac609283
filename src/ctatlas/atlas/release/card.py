"""README.md: the page a stranger reads first, with the front matter that dataset repositories read.

Source: the dataset card of Hugging Face; its keys and bins: reference/ecosystem.md §5.
"""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from string import Template

from ctatlas.atlas.release.facts import STRUCTURE_COLUMNS, Facts, markdown_table
from ctatlas.atlas.release.layouts import layout_called
from ctatlas.atlas.release.licences import licence_called
from ctatlas.atlas.release.manifest import CASES, MASKS

CARD = "README.md"
_TEMPLATE = Path(__file__).parent / "data" / "card.md"
_EMPTY = "`empty`: masks in which nothing was found, though nobody says that it is absent: a model may have missed it."
_BINS = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"))


def card(facts: Facts) -> str:
    """Write the page."""
    record = facts.record
    return Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        front="\n".join(_front(facts)),
        title=facts.title,
        description=f"{record.description}\n\n" if record.description else "",
        n_cases=len(facts.cases),
        n_masks=facts.record.masks,
        held=_held(facts),
        files=_files(facts),
        datasets=markdown_table(["dataset", "cases", "licence", "where"], facts.dataset_rows()),
        structures=_structures(facts),
        left_out="\n".join(f"- {line}" for line in record.left_out) or "- Nothing that is known.",
        licence=record.licence or "not stated",
        doubts="\n".join(f"- **To be settled:** {doubt}" for doubt in record.doubts),
        citation=facts.config.release.citation or "No citation is stated.",
        made_with=record.made_with,
    )


def _front(facts: Facts) -> list[str]:
    """Return the front matter: YAML whose values are written as JSON, which YAML holds."""
    licence = licence_called(facts.record.licence)
    terms: dict[str, object] = {"license": licence.identifier if licence else "other"}
    if not licence:
        terms |= {"license_name": facts.record.licence or "not stated", "license_link": "README.md"}
    made_by = {"original": "found", "revised": "expert-generated", "pseudo": "machine-generated"}
    front = {
        **terms,
        "pretty_name": facts.title,
        "language": ["en"],
        "task_categories": ["image-segmentation"],
        "size_categories": [_bin(len(facts.cases))],
        "annotations_creators": [word for kind, word in made_by.items() if facts.record.sources[kind]],
        "source_datasets": ["extended"],
        "tags": ["medical", "CT", "segmentation", "anatomy"],
        "configs": [
            {"config_name": "cases", "data_files": CASES, "default": True},
            {"config_name": "masks", "data_files": MASKS},
        ],
    }
    return [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in front.items() if value]


def _bin(n: int) -> str:
    return next((name for limit, name in _BINS if n < limit), "n>1M")


def _held(facts: Facts) -> str:
    return {
        "all": "Scans and masks are here.",
        "images": "Scans alone are here; masks are a release of their own.",
        "masks": (
            "Masks alone are here. The scans come from their sources, which each case names; "
            f"`ct_sha256` and `voxels_sha256` in `{CASES}` tell whether one is the right one."
        ),
    }[facts.record.content]


def _files(facts: Facts) -> str:
    """Return where things lie, by the first case."""
    first = facts.cases[0]
    lines = [path for path in (first.ct_file, first.combined_file, first.original_file, facts.tally.first_mask) if path]
    folder = PurePosixPath(first.shard).parent
    packed = f"\n\nPacked in tar.gz files, {len(facts.shards)} in `{folder}/`; unpack them here." if first.shard else ""
    says = layout_called(facts.record.layout).says
    return f"Laid out {says}. The first case:\n\n" + "\n".join(f"    {line}" for line in lines) + packed


def _structures(facts: Facts) -> str:
    if not facts.record.masks:
        return ""
    return "## Structures\n\n" + markdown_table(STRUCTURE_COLUMNS, facts.structure_rows()) + f"\n\n{_EMPTY}\n"
