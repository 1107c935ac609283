"""Model cards, registry, loaders, backends; `networks/` holds the torch modules.

`cards` says what a model needs and gives, `registry` finds it by name or folder, `kinds` picks the loader and the
backend, `model` is what comes out, `logits` runs one patch through it. `data/` holds the models that the package
brings.
"""

from ctatlas.models.cards import ModelCard, read_card
from ctatlas.models.model import Backend, Model
from ctatlas.models.presets import preset_card, presets
from ctatlas.models.registry import card, load, model_names

__all__ = ["Backend", "Model", "ModelCard", "card", "load", "model_names", "preset_card", "presets", "read_card"]
