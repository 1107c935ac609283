"""Give a network its weights by name and shape, and an account of what fitted."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from ctatlas.errors import ModelError
from ctatlas.models.loaders.checkpoint import State

# What checkpoints hold and no network reads: statistics of a batch norm that takes its input's, a table that follows
# from the window, layers that MONAI's transformer block makes but doesn't use.
_UNREAD_ENDS = ("running_mean", "running_var", "num_batches_tracked", "relative_position_index")
_UNREAD_PARTS = (".cross_attn.", ".norm_cross_attn.")
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Account:
    """What became of every entry, by name.

    Attributes
    ----------
    matched : names in both, of one shape
    reshaped : names in both, whose shapes differ by axes of length one only; these are taken too
    missing : what the network needs and the file lacks
    unexpected : what the file holds and the network has no place for
    misshapen : names in both, of shapes that can't be made one, with both shapes
    unread : what such files hold and no network reads
    """

    matched: tuple[str, ...]
    reshaped: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    misshapen: tuple[str, ...]
    unread: tuple[str, ...]

    @property
    def faults(self) -> str:
        """Say in one line what keeps the file from fitting; empty when it fits."""
        parts = {"missing": self.missing, "unexpected": self.unexpected, "of another shape": self.misshapen}
        return "; ".join(f"{len(names)} {what}: {_some(names)}" for what, names in parts.items() if names)

    def __str__(self) -> str:
        """Say how many of each."""
        names = ("matched", "reshaped", "missing", "unexpected", "misshapen", "unread")
        return ", ".join(f"{len(getattr(self, name))} {name}" for name in names)


def match(network: nn.Module, state: State) -> Account:
    """Compare a network's entries with those of a file; nothing is read but names and shapes."""
    wanted = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    given = {key: tuple(value.shape) for key, value in state.items()}
    unread = tuple(key for key in given if key not in wanted and _unread(key))
    both = [key for key in wanted if key in given]
    same = [key for key in both if given[key] == wanted[key]]
    alike = [key for key in both if key not in same and _squeezed(given[key]) == _squeezed(wanted[key])]
    return Account(
        matched=tuple(same),
        reshaped=tuple(alike),
        missing=tuple(key for key in wanted if key not in given),
        unexpected=tuple(key for key in given if key not in wanted and not _unread(key)),
        misshapen=tuple(f"{key} {given[key]}, expected {wanted[key]}" for key in both if key not in {*same, *alike}),
        unread=unread,
    )


def fill(network: nn.Module, state: State) -> Account:
    """Give a network, made without memory of its own, its weights in float32.

    Raises
    ------
    ModelError
        When any entry is missing, unexpected or of another shape, or holds what is no finite number.
    """
    account = match(network, state)
    if account.faults:
        raise ModelError(f"weights don't fit the network ({account}): {account.faults}")
    own = network.state_dict()
    taken = {key: _taken(state[key], own[key].shape) for key in own}
    if bad := [key for key, value in taken.items() if not torch.isfinite(value).all()]:
        raise ModelError(f"{len(bad)} entries hold numbers that are not finite: {_some(bad)}; the file is damaged")
    network.load_state_dict(taken, assign=True)
    network.eval().requires_grad_(requires_grad=False)
    return account


def _taken(value: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    return value.detach().to(torch.float32, copy=True).reshape(shape).contiguous()


def _unread(key: str) -> bool:
    return key.endswith(_UNREAD_ENDS) or any(part in key for part in _UNREAD_PARTS)


def _squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(size for size in shape if size != 1)


def _some(names: tuple[str, ...] | list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
