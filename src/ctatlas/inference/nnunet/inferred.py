"""What a model of nnU-Net finds in a scan, in the words of every other model."""

from __future__ import annotations

from ctatlas.inference.certainty import NetworkMaps, ProbabilityMaps, entropy_map
from ctatlas.inference.engine import Inferred
from ctatlas.inference.nnunet.export import Restored, export_labels
from ctatlas.inference.nnunet.parts import parts_of
from ctatlas.inference.nnunet.scans import dataset_of, look, named, probabilities_of, route_of
from ctatlas.models import Model
from ctatlas.progress import SILENT, Progress
from ctatlas.volume.scan import Volume


def infer_nnunet(
    volume: Volume,
    model: Model,
    *,
    progress: Progress = SILENT,
    save_probabilities: bool = False,
    save_entropy: bool = False,
    keep_network: bool = False,
) -> Inferred:
    """Find what nnU-Net finds in a scan that lies as the model's card says.

    Labels are those of nnU-Net, voxel by voxel. Parameters are those of `ctatlas.inference.infer`.

    Raises
    ------
    ModelError
        When the network fails.
    ScanError
        When the model reads more than one channel.
    """
    card, grid = model.card, volume.grid
    restored = look(volume, model, progress=progress)
    progress.stage("decide", 1)
    found = named(export_labels(restored, dataset_of(model)), model, grid)
    progress.advance()
    if not (save_probabilities or save_entropy or keep_network):
        return Inferred(found)
    parts = parts_of(restored, model, volume)
    asked = {each.name: each.channel for each in card.classes if each.is_structure and save_probabilities}
    return Inferred(
        found,
        ProbabilityMaps(parts, asked, grid) if asked else {},
        entropy_map(parts, card, grid, progress=progress) if save_entropy else None,
        _on_its_grid(restored, model, volume) if keep_network else None,
    )


def _on_its_grid(restored: Restored, model: Model, volume: Volume) -> NetworkMaps:
    route = route_of(restored, model, volume.grid)
    planes = route.from_network(probabilities_of(restored, dataset_of(model)))
    return NetworkMaps(planes, {name: channel for channel, name in model.card.foreground.items()}, route)
