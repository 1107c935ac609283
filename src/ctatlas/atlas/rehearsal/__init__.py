"""The whole loop in small, to see how it goes: phantoms, whose truth is known, and an annotator who knows it.

`bodies` makes the scans, `annotator` corrects hot spots from the truth, `gain` measures what that did, `picture` shows
it; `run` goes through the steps of an atlas with them.
"""

from ctatlas.atlas.rehearsal.gain import CaseGain
from ctatlas.atlas.rehearsal.run import Rehearsal, Sample, Told, rehearse

__all__ = ["CaseGain", "Rehearsal", "Sample", "Told", "rehearse"]
