"""Let nnU-Net train for two epochs of three steps. Python runs this at its start where the folder is on PYTHONPATH.

nnU-Net 2.5 also hands its schedule of learning rates an argument that torch has dropped since.
"""

from __future__ import annotations

import functools
import importlib.util
import sys
from typing import Any


class _OnImport:
    """Alter a module when it is imported, whoever imports it."""

    def __init__(self, name: str, alter: Any) -> None:
        self.name, self.alter = name, alter

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:  # noqa: ARG002 - Python's own words
        if name != self.name:
            return None
        sys.meta_path.remove(self)  # type: ignore[arg-type]
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return None
        run = spec.loader.exec_module

        def exec_module(module: Any) -> None:
            run(module)
            self.alter(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _shorten(module: Any) -> None:
    begin = module.nnUNetTrainer.__init__

    @functools.wraps(begin)  # the class asks for its own signature
    def short(self: Any, *args: Any, **kwargs: Any) -> None:
        begin(self, *args, **kwargs)
        self.num_epochs, self.num_iterations_per_epoch, self.num_val_iterations_per_epoch = 2, 3, 1

    module.nnUNetTrainer.__init__ = short


def _without_verbose(module: Any) -> None:
    scheduler = module._LRScheduler

    class Scheduler(scheduler):  # type: ignore[misc]
        def __init__(self, optimizer: Any, last_epoch: int = -1, *_: Any) -> None:
            super().__init__(optimizer, last_epoch)

    module.PolyLRScheduler.__bases__ = (Scheduler,)


sys.meta_path.insert(0, _OnImport("nnunetv2.training.nnUNetTrainer.nnUNetTrainer", _shorten))  # type: ignore[arg-type]
sys.meta_path.insert(0, _OnImport("nnunetv2.training.lr_scheduler.polylr", _without_verbose))  # type: ignore[arg-type]
