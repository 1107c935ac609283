"""nnU-Net's raw data, made of an atlas or of any folder of scans and labels.

`pairs` are the cases that can be trained on and what each tells about → `dataset` decides the labels that all have and
writes image, label map and the files that nnU-Net asks for → `folds` keep the scans of a patient together.
"""

from ctatlas.atlas.raw.dataset import RawData, complete, raw_data, raw_tasks
from ctatlas.atlas.raw.pairs import Gathered, Pair, pairs_of

__all__ = ["Gathered", "Pair", "RawData", "complete", "pairs_of", "raw_data", "raw_tasks"]
