"""The training loop: several single-threaded workers update one shared network.

On two cores two such workers make about 1.4 times the steps of one process with two threads. Samples are pure
functions of (seed, worker, step); with one worker a run can be repeated exactly, with more the order of their updates
is left to chance.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import TypeAdapter, ValidationError
from torch import multiprocessing

from ctatlas.errors import ModelError
from ctatlas.models.networks.unet import UNet
from ctatlas.training.classes import trained_classes
from ctatlas.training.loss import segmentation_loss
from ctatlas.training.pool import by_kind, load_pool, remaining
from ctatlas.training.processes import one_core_each
from ctatlas.training.samples import CHANNELS, GRID_MM, Sample, draw_sample


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """Everything that decides a run."""

    seed: int = 1
    steps: int = 20_000  # of all workers together
    decay_from: float = 0.55  # share of the steps after which the learning rate falls linearly
    large_from: float = 0.85  # share of the steps after which patches are large
    grid_mm: float = GRID_MM
    small_patch: int = 48  # voxels
    large_patch: int = 64
    learning_rate: float = 2e-3
    final_rate: float = 0.02  # share of the learning rate at the last step
    warm_up: int = 150
    weight_decay: float = 3e-5
    clip_norm: float = 12.0
    ema: float = 0.998
    widths: tuple[int, ...] = (16, 32, 64, 128, 160)
    save_every_s: float = 120.0
    without: tuple[str, ...] = ()  # kinds or names of members of the pool that this run never sees
    begun_from: str = ""  # the model whose weights it started from, and how those were made; else from chance
    taught_by: tuple[str, ...] = ()  # models that labelled scans for it


def learning_rate(config: TrainConfig, step: int) -> float:
    """Return the rate at one step: warm-up, plateau, linear decay."""
    warm = min(1.0, (step + 1) / config.warm_up)
    start = config.decay_from * config.steps
    fall = np.clip((step - start) / max(config.steps - start, 1), 0, 1)
    return float(config.learning_rate * warm * (1 - (1 - config.final_rate) * fall))


def class_weights(config: TrainConfig, step: int) -> torch.Tensor:
    """Return the weights of the cross-entropy; they go to 1 while the rate decays, so that volumes come out right."""
    start = config.decay_from * config.steps
    fall = float(np.clip((step - start) / max(0.9 * config.steps - start, 1), 0, 1))
    weights = torch.tensor([c.loss_weight for c in trained_classes()])
    return weights + (1 - weights) * fall


def config_of(run: Path) -> TrainConfig:
    """Read how a run was made."""
    return config_told(json.loads((run / "config.json").read_text()))


def with_settings(config: TrainConfig, settings: Mapping[str, str]) -> TrainConfig:
    """Return a run made otherwise, by names and values as a person writes them.

    Raises
    ------
    ModelError
        When there is no such setting, or it takes no such value.
    """
    known = [name for name in asdict(config) if name not in ("begun_from", "taught_by")]  # those are told, not chosen
    if unknown := sorted(set(settings) - set(known)):
        raise ModelError(f"no setting {unknown[0]!r} of a run; known: {', '.join(known)}")
    try:
        return TypeAdapter(TrainConfig).validate_python(asdict(config) | dict(settings))
    except ValidationError as error:
        first = error.errors()[0]
        raise ModelError(f"{first['loc'][0]}={first['input']}: {first['msg'].lower()}") from None


def config_told(told: Mapping[str, object]) -> TrainConfig:
    """Read how a run was made from what a file tells of it; what is no field of today is passed over.

    Raises
    ------
    pydantic.ValidationError
    """
    known = {each.name for each in fields(TrainConfig)}
    return TypeAdapter(TrainConfig).validate_python({key: value for key, value in told.items() if key in known})


def new_network(config: TrainConfig) -> UNet:
    """Return a freshly initialised network."""
    torch.manual_seed(config.seed)
    return UNet(len(CHANNELS), len(trained_classes()), config.widths)


def train(pool: Path, run: Path, config: TrainConfig, *, workers: int, until: int | None = None) -> bool:
    """Train, or go on where `run` stopped, until `config.steps` or, before that, step `until`.

    Parameters
    ----------
    pool : Path
        Made by `build_pool`.
    run : Path
        Holds `checkpoint.pt`, one optimiser state per worker, `log.jsonl` and `config.json`.

    Returns
    -------
    bool
        False when it stopped at `until`.
    """
    run.mkdir(parents=True, exist_ok=True)
    network = new_network(config)
    averaged = new_network(config)
    start = 0
    checkpoint = run / "checkpoint.pt"
    if checkpoint.exists():
        stored = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(stored["network"])
        averaged.load_state_dict(stored["averaged"])
        start = int(stored["step"])
    last = config.steps if until is None else min(until, config.steps)
    if start >= last:
        return start >= config.steps
    (run / "config.json").write_text(json.dumps(asdict(config), indent=1))
    network.share_memory()
    averaged.share_memory()
    context = multiprocessing.get_context("spawn")
    shared = Shared(pool, run, config, network, averaged, context.Value("q", start), last)
    processes = [context.Process(target=_work, args=(n, shared)) for n in range(workers)]
    with one_core_each():
        for process in processes:
            process.start()
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        raise RuntimeError(f"a training worker ended with {[process.exitcode for process in processes]}")
    return last == config.steps


@dataclass(frozen=True, slots=True)
class Shared:
    """What the workers have in common: both networks and the count of steps lie in shared memory."""

    pool: Path
    run: Path
    config: TrainConfig
    network: UNet
    averaged: UNet
    counter: Any
    last: int

    def next_step(self) -> int | None:
        """Take the next step's number, or None when all are done."""
        with self.counter.get_lock():
            step = int(self.counter.value)
            if step >= self.last:
                return None
            self.counter.value = step + 1
            return step


def _work(worker: int, shared: Shared) -> None:
    torch.set_num_threads(1)
    os.nice(2 * worker)
    config, network = shared.config, shared.network
    groups = by_kind(remaining(load_pool(shared.pool), config.without))
    optimiser = torch.optim.AdamW(network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    state_file = shared.run / f"optimiser_{worker}.pt"
    if state_file.exists():
        optimiser.load_state_dict(torch.load(state_file, weights_only=True))
    saved, losses, averaged_at = time.monotonic(), [], int(shared.counter.value)
    while (step := shared.next_step()) is not None:
        size = config.large_patch if step >= config.large_from * config.steps else config.small_patch
        rng = np.random.default_rng([config.seed, worker, step])
        sample = draw_sample(groups, size, rng, grid_mm=config.grid_mm)
        losses.append(_update(network, optimiser, sample, config, step))
        if worker == 0:
            average(shared.averaged, network, ema_decay(config, step) ** max(step - averaged_at, 1))
            averaged_at = step
        if time.monotonic() - saved > config.save_every_s:
            _save(worker, step + 1, shared, optimiser, losses)
            saved, losses = time.monotonic(), []
    _save(worker, shared.last, shared, optimiser, losses)


def _update(network: UNet, optimiser: torch.optim.Optimizer, sample: Sample, config: TrainConfig, step: int) -> float:
    """Make one step; return the loss."""
    inputs = torch.from_numpy(sample.inputs)[None]
    target = torch.from_numpy(sample.target.astype(np.int64))[None]
    for group in optimiser.param_groups:
        group["lr"] = learning_rate(config, step)
    network.train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = network(inputs)
    loss = segmentation_loss(logits.float(), target, class_weights(config, step))
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(network.parameters(), config.clip_norm)
    optimiser.step()
    return float(loss.detach())


def ema_decay(config: TrainConfig, step: int) -> float:
    """Return the decay per step of the averaged weights; short memory at the start."""
    return min(config.ema, (1 + step) / (15 + step))


@torch.no_grad()
def average(averaged: UNet, network: UNet, decay: float) -> None:
    """Move the averaged weights towards the network's."""
    for mean, value in zip(averaged.parameters(), network.parameters(), strict=True):
        mean.lerp_(value, 1 - decay)


def _save(worker: int, step: int, shared: Shared, optimiser: torch.optim.Optimizer, losses: list[float]) -> None:
    _replace(shared.run / f"optimiser_{worker}.pt", optimiser.state_dict())
    if worker == 0:
        state = {"network": shared.network.state_dict(), "averaged": shared.averaged.state_dict(), "step": step}
        _replace(shared.run / "checkpoint.pt", state)
    mean = float(np.mean(losses)) if losses else None
    row = {"step": step, "worker": worker, "n": len(losses), "loss": mean, "time": time.time()}
    with (shared.run / "log.jsonl").open("a") as log:
        log.write(json.dumps(row) + "\n")


def _replace(path: Path, content: Any) -> None:
    temporary = path.with_suffix(".tmp")
    torch.save(content, temporary)
    temporary.replace(path)
