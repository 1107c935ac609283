"""`dataset.json`: the channels that go in, the labels that come out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ctatlas.errors import ModelError
from ctatlas.models.nnunet.plans import read_json

DATASET_FILE = "dataset.json"
BACKGROUND, IGNORE = "background", "ignore"
_LARGEST_LABEL = 2**16 - 1


class Dataset(BaseModel):
    """A `dataset.json`.

    Attributes
    ----------
    channel_names : tuple of str
        In the order of the channels.
    labels : mapping of str to tuple of int
        Name → the values of its voxels, several for a region; without background and "ignore".
    regions_class_order : tuple of int or None
        Where labels are regions: the value written for each of them in turn; later ones go over earlier ones.
    file_ending : str
    """

    model_config = ConfigDict(frozen=True)

    channel_names: tuple[str, ...] = Field(min_length=1, max_length=64)
    labels: dict[str, tuple[int, ...]] = Field(min_length=1)
    regions_class_order: tuple[int, ...] | None = None
    file_ending: str = ".nii.gz"

    @model_validator(mode="after")
    def _sound(self) -> Dataset:
        if wrong := [name for name, values in self.labels.items() if not values or not _in_range(values)]:
            raise ValueError(f"labels {', '.join(wrong[:5])}: expected whole numbers from 1 to {_LARGEST_LABEL}")
        if self.regions_class_order is None:
            values = sorted(value for each in self.labels.values() for value in each)
            if values != list(range(1, len(values) + 1)):
                raise ValueError(f"labels are numbered {values[:8]}…: expected 1, 2, 3, … once each")
        elif len(self.regions_class_order) != len(self.labels) or not _in_range(self.regions_class_order):
            raise ValueError(
                f"{len(self.labels)} regions need a regions_class_order of as many values; "
                f"found {len(self.regions_class_order)}"
            )
        return self

    @property
    def has_regions(self) -> bool:
        """Whether classes may overlap, so that each is decided alone."""
        return self.regions_class_order is not None

    @property
    def classes(self) -> dict[str, tuple[int, ...]]:
        """Return name → values in the order of the network's classes, without the background."""
        if self.has_regions:
            return self.labels
        return dict(sorted(self.labels.items(), key=lambda item: item[1]))

    @property
    def label_values(self) -> tuple[int, ...]:
        """Return every value that a label map may hold beside 0, ascending."""
        return tuple(sorted({value for values in self.labels.values() for value in values}))

    @property
    def n_heads(self) -> int:
        """Return how many classes the network gives: one a region; or one a label, and the background."""
        return len(self.labels) if self.has_regions else len(self.label_values) + 1

    @property
    def n_cascaded(self) -> int:
        """Return how many channels the labels of a former stage make."""
        return len(self.label_values)


def read_dataset(path: Path) -> Dataset:
    """Read and check a `dataset.json`.

    Raises
    ------
    ModelError
        When it can't be read, or breaks the rules; faults are named in one line.
    """
    table = read_json(path)
    channels, labels = table.get("channel_names") or table.get("modality"), table.get("labels")
    if not isinstance(channels, dict) or not isinstance(labels, dict):
        raise ModelError(f"{path}: no dataset of nnU-Net version 2: expected tables 'channel_names' and 'labels'")
    try:
        values = _values(labels)
        regions = any(len(each) > 1 for each in values.values())
        return Dataset(
            channel_names=tuple(str(channels[str(channel)]) for channel in range(len(channels))),
            labels=values,
            regions_class_order=table.get("regions_class_order") or () if regions else None,
            file_ending=str(table.get("file_ending", ".nii.gz")),
        )
    except ValidationError as error:
        raise ModelError(f"{path}: {'; '.join(fault['msg'] for fault in error.errors())}") from None
    except KeyError as error:
        raise ModelError(f"{path}: channels are expected to be numbered 0, 1, …; {error} is missing") from None
    except (TypeError, ValueError, OverflowError, AttributeError) as error:
        raise ModelError(f"{path}: labels are expected as name → number or name → list of numbers ({error})") from None


def _values(labels: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Return name → values. Version 1 mapped value → name, so that keys tell which it is."""
    turned = all(key.strip().isdecimal() for key in labels)
    pairs = [(str(name), int(value)) for value, name in labels.items()] if turned else list(labels.items())
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a name is given twice")
    found = {name: tuple(map(int, given)) if isinstance(given, list) else (int(given),) for name, given in pairs}
    if found.get(BACKGROUND) != (0,):
        raise ValueError(f"{BACKGROUND!r} is expected to be 0")
    return {name: values for name, values in found.items() if name not in {BACKGROUND, IGNORE}}


def _in_range(values: tuple[int, ...]) -> bool:
    return all(0 < value <= _LARGEST_LABEL for value in values)
