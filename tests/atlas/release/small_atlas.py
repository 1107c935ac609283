"""A small atlas by hand, assembled, ready to be released: three scans on an oblique grid, masks that are boxes."""

from __future__ import annotations

from pathlib import Path

from ctatlas.atlas import Atlas
from ctatlas.atlas.assemble import assemble_tasks
from ctatlas.atlas.layout import CasePlace
from ctatlas.atlas.records import CaseRecord, DatasetRecord, RevisedMask, RevisionRecord, read_record, write_record
from ctatlas.execution import perform, result_folder
from ctatlas.volume import write_mask
from tests.atlas.by_hand import GRID, add_original, add_prediction, box, new_atlas, new_case, record_of

LIVER, SPLEEN, LEFT, RIGHT = box((0, 6), (0, 5)), box((7, 11), (0, 5)), box((0, 3), (6, 10)), box((6, 9), (6, 10))
CASES = ("a1", "ccc", "bbbb")  # new_case draws its noise by the length of the name


def small_atlas(folder: Path, **config: object) -> Atlas:
    """Make it: `a1` with originals (spleen annotated and absent), the others predicted, `ccc` without kidneys."""
    atlas = new_atlas(folder, **{"licence": "CC BY 4.0", **config})
    for case in CASES:
        place = new_case(atlas, case)
        masks = {"liver": LIVER, "spleen": SPLEEN, "kidney_left": LEFT, "kidney_right": RIGHT}
        if case == "ccc":
            masks = {"liver": LIVER, "spleen": SPLEEN}
        if case == "a1":
            add_original(place, {"liver": LIVER & ~box((0, 1))}, ["spleen"], set_name="btcv")
        add_prediction(place, "ctatlas/base", masks)
        tell(place, dataset="btcv" if case == "a1" else "made", dataset_case=f"img {case}", patient=f"secret {case}")
    atlas.place.datasets.mkdir()
    record = DatasetRecord(name="btcv", licence="CC BY 4.0", url="https://example.org/btcv", citation="Somebody 2015")
    write_record(record, atlas.place.datasets / "btcv.json")
    assemble(atlas)
    return atlas


def tell(place: CasePlace, **facts: object) -> None:
    """Alter what is known of a case."""
    record = read_record(CaseRecord, place.record)
    write_record(record.model_copy(update=facts), place.record)


def assemble(atlas: Atlas) -> None:
    """Bring all assembled masks up to date."""
    for task in assemble_tasks(atlas, atlas.cases()):
        perform(task)


def revise(place: CasePlace, name: str, mask: object, number: int = 1) -> None:
    """Store a revision of one mask."""
    with result_folder(place.revision(number), {"case": place.case, "key": str(number), "step": "revise"}) as folder:
        path = folder / f"{name}.nii.gz"
        write_mask(mask, GRID, path)  # type: ignore[arg-type]
        found = record_of(mask, path)  # type: ignore[arg-type]
        revised = RevisedMask(**found.model_dump(), added_ml=0, removed_ml=0)
        record = RevisionRecord(number=number, author="ann", created="2026-01-01T00:00:00Z", masks={name: revised})
        write_record(record, folder / "revision.json")
