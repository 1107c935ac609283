"""Model folders of nnU-Net version 2, read without its package and without running anything in them.

`plans` and `dataset` read the two JSON files, `folder` finds them, the folds and the checkpoints, `networks` builds
the networks that plans tell and gives them their weights, `card` makes the model card, with what a `note` beside the
plans adds. `ctatlas.inference.nnunet` runs them.
"""

from ctatlas.models.nnunet.card import nnunet_card
from ctatlas.models.nnunet.dataset import Dataset, read_dataset
from ctatlas.models.nnunet.folder import FINAL, Fold, NnunetFolder, is_nnunet_folder, model_folders, open_folder
from ctatlas.models.nnunet.networks import NnunetNetworks, former_stage, load_networks
from ctatlas.models.nnunet.plans import Configuration, Plans, Resampling, read_plans

__all__ = [
    "FINAL",
    "Configuration",
    "Dataset",
    "Fold",
    "NnunetFolder",
    "NnunetNetworks",
    "Plans",
    "Resampling",
    "former_stage",
    "is_nnunet_folder",
    "load_networks",
    "model_folders",
    "nnunet_card",
    "open_folder",
    "read_dataset",
    "read_plans",
]
