"""From planned cases to the rows of the manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ctatlas.atlas.layout import MASK
from ctatlas.atlas.records import AssembledMask, DatasetRecord, ProvenanceRecord
from ctatlas.atlas.release.layouts import COMBINED, CT, ORIGINAL, PSEUDO, SEGMENTATIONS, VERSION
from ctatlas.atlas.release.manifest import CaseRow, MaskRow
from ctatlas.atlas.release.plan import Plan, Planned

_TRUST = ("absent", "original", "revised", "pseudo")  # a union is as good as the least of its parts
_UNKNOWN = DatasetRecord(name="")


class Rows:
    """Makes the rows of a release; what cases know of each other is worked out once."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._ids = {case.place.case: case.id for case in plan.cases}
        self._first_of_patient: dict[str, str] = {}
        self._first_of_voxels: dict[str, str] = {}
        for case in sorted(plan.cases, key=lambda one: one.id):
            self._first_of_patient.setdefault(case.patient, case.id)
            self._first_of_voxels.setdefault(case.voxels_sha256, case.id)

    def case(self, case: Planned, hashes: Mapping[str, str] | None = None, shard: str = "") -> CaseRow:
        """Return the row of a case.

        Parameters
        ----------
        case : Planned
        hashes : mapping of str to str, optional
            Of its files, by what they are called before they are laid out; None while there are none.
        shard : str
            What they are packed in.
        """
        files = {name: self.plan.layout.path(case.where, name) for name in hashes or {}}
        record = case.read_record()
        grid = record.grid.grid()
        dataset = self.plan.datasets.get(record.dataset, _UNKNOWN)
        first = self._first_of_voxels[record.voxels_sha256]
        near = sorted(self._ids[other] for other in record.near_duplicates if other in self._ids)
        spacing = [round(mm, 6) for mm in grid.spacing_mm]
        return CaseRow(
            id=case.id,
            name=case.where.name,
            split=case.where.split,
            dataset=record.dataset,
            source_case=record.dataset_case,
            url=dataset.url,
            licence=dataset.licence,
            citation=dataset.citation,
            patient=f"patient of {self._first_of_patient[record.patient]}" if record.patient else "",
            phase=record.phase or "",
            modality=record.scanner.modality or "",
            kernel=record.scanner.kernel or "",
            voxels_i=grid.shape[0],
            voxels_j=grid.shape[1],
            voxels_k=grid.shape[2],
            spacing_i_mm=spacing[0],
            spacing_j_mm=spacing[1],
            spacing_k_mm=spacing[2],
            orientation=grid.orientation,
            ct_sha256=record.ct_sha256,
            voxels_sha256=record.voxels_sha256,
            ct_file=files.get(CT, ""),
            combined_file=files.get(COMBINED, ""),
            combined_sha256=(hashes or {}).get(COMBINED, ""),
            original_file=files.get(ORIGINAL, ""),
            original_sha256=(hashes or {}).get(ORIGINAL, ""),
            shard=shard,
            duplicate_of=first if first != case.id else "",
            near_duplicates=";".join(near),
            not_known=";".join(self.plan.names[name] for name in self.plan.ids if name not in case.parts),
            repairs="; ".join(record.repairs),
            pseudo_file=files.get(PSEUDO, ""),
            pseudo_sha256=(hashes or {}).get(PSEUDO, ""),
        )

    def masks(self, case: Planned, summary: Mapping[str, Any]) -> list[MaskRow]:
        """Return a row of every mask of a case; `summary` is what preparing it returned."""
        found = case.read_provenance()
        return [self._mask(case, found, name, summary) for name in self.plan.ids if name in summary["masks"]]

    def _mask(self, case: Planned, found: ProvenanceRecord, name: str, summary: Mapping[str, Any]) -> MaskRow:
        size = summary["masks"][name]
        parts = {part: found.masks[part] for part in case.parts[name]}
        file = f"{SEGMENTATIONS}/{self.plan.names[name]}{MASK}"
        earlier = f"{SEGMENTATIONS}/{self.plan.names[name]}{VERSION}{MASK}"
        people, dice = _agreement(found, list(parts))
        return MaskRow(
            id=case.id,
            structure=name,
            name=self.plan.names[name],
            label=self.plan.ids[name],
            file=self.plan.layout.path(case.where, file) if file in summary["files"] else "",
            sha256=summary["files"].get(file, ""),
            source=max((mask.source for mask in parts.values()), key=_TRUST.index),
            detail=_detail(parts),
            n_voxels=size["n_voxels"],
            volume_ml=round(size["volume_ml"], 6),
            lost_ml=round(sum(mask.lost_ml for mask in parts.values()), 6),
            won_ml=round(sum(mask.won_ml for mask in parts.values()), 6),
            people=people,
            agreement_dice=dice,
            pseudo_file=self.plan.layout.path(case.where, earlier) if earlier in summary["files"] else "",
            pseudo_sha256=summary["files"].get(earlier, ""),
        )


def _detail(parts: Mapping[str, AssembledMask]) -> str:
    if len(parts) == 1:
        return next(iter(parts.values())).detail
    return "; ".join(f"{name}: {mask.source}, {mask.detail}" for name, mask in parts.items())


def _agreement(provenance: ProvenanceRecord, parts: Sequence[str]) -> tuple[int, str]:
    found = [provenance.agreement[part] for part in parts if part in provenance.agreement]
    if not found:
        return 0, ""
    return max(len(one.revisions) for one in found), f"{min(one.dice for one in found):.4f}"
