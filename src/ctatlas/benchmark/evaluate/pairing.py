"""Match references and predictions by the ids of their cases, never by their position in a list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ctatlas.benchmark.evaluate.case import CasePair
from ctatlas.benchmark.evaluate.layouts import CaseMasks, Listing
from ctatlas.errors import ScanError
from ctatlas.volume import safe_name, scans_in

_NAMED = 4  # ids that a refusal lists
_CHANNEL = "_0000"  # behind the names of nnU-Net's images


@dataclass(frozen=True, slots=True)
class Pairing:
    """The cases of a reference with their predictions, and the predictions that nothing belongs to."""

    pairs: tuple[CasePair, ...]
    surplus: tuple[str, ...] = ()


def paired(gt: Listing, pred: Listing, images: Path | None = None) -> Pairing:
    """Give every case of the reference its prediction.

    Parameters
    ----------
    gt, pred : Listing
        When each is a single case, they belong together whatever they are called.
    images : Path, optional
        The scans, named after the same cases; the only one belongs to the only case.

    Raises
    ------
    ScanError
        When no case has a prediction, or the images hold no scan.
    """
    scans = _scans(images) if images else {}
    if gt.is_one and pred.is_one:
        scans = {safe_name(gt.cases[0].case): scan for scan in scans.values()} if len(scans) == 1 else scans
        return Pairing((_pair(gt.cases[0], pred.cases[0], scans),))
    predictions = {each.case: each for each in pred.cases}
    pairs = tuple(_pair(each, predictions.get(each.case), scans) for each in gt.cases)
    if not any(pair.pred for pair in pairs):
        raise ScanError(
            f"none of the {len(gt.cases)} cases of the reference has a prediction: cases are matched by name, those of "
            f"the reference are {_some(gt)}, those of the predictions {_some(pred)}."
        )
    faults = [f"{pair.case}: {pair.pred.fault}" for pair in pairs if pair.pred and pair.pred.fault]
    if len(faults) == sum(pair.pred is not None for pair in pairs):
        raise ScanError(f"no case has a prediction that can be read; {faults[0]}.")
    known = {each.case for each in gt.cases}
    return Pairing(pairs, tuple(each.case for each in pred.cases if each.case not in known and not each.fault))


def _pair(gt: CaseMasks, pred: CaseMasks | None, scans: Mapping[str, Path]) -> CasePair:
    beside = gt.ct or (pred.ct if pred else None)
    ct = scans.get(safe_name(gt.case), beside)
    return CasePair(gt.case, replace(gt, ct=ct), replace(pred, ct=ct, annotated=None) if pred else None)


def _scans(images: Path) -> dict[str, Path]:
    found = [source for source in scans_in(images) if not source.inside]
    return {source.case.removesuffix(_CHANNEL): source.path for source in found}


def _some(listing: Listing) -> str:
    names = [each.case for each in listing.cases]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
