"""The training loop: several single-threaded workers update one shared network.

On two cores two such workers make about 1.4 times the steps of one process with two threads. Samples are pure functions of
(seed, worker, step); with one worker a run can be repeated exactly, with more the order of their updates is left to chance.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import multiprocessing

from ctatlas.models.networks.unet import UNet
from ctatlas.training.classes import trained_classes
from ctatlas.training.loss import segmentation_loss
from ctatlas.training.pool import by_kind, load_pool
from ctatlas.training.samples import CHANNELS, draw_sample


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """Everything that decides a run."""

    seed: int = 1
    steps: int = 20_000  # of all workers together
    decay_from: float = 0.55  # share of the steps after which the learning rate falls linearly
    large_from: float = 0.85  # share of the steps after which patches are large
    small_patch: int = 48  # voxels of 4 mm
    large_patch: int = 64
    learning_rate: float = 2e-3
    final_rate: float = 0.02  # share of the learning rate at the last step
    warm_up: int = 150
    weight_decay: float = 3e-5
    clip_norm: float = 12.0
    ema: float = 0.998
    widths: tuple[int, ...] = (16, 32, 64, 128, 160)
    save_every_s: float = 120.0


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


def new_network(config: TrainConfig) -> UNet:
    """Return a freshly initialised network."""
    torch.manual_seed(config.seed)
    return UNet(len(CHANNELS), len(trained_classes()), config.widths)


def train(pool: Path, run: Path, config: TrainConfig, *, workers: int, until: int | None = None) -> None:
    """Train, or go on where `run` stopped, until `config.steps` or, before that, step `until`.

    Parameters
    ----------
    pool : Path
        Made by `build_pool`.
    run : Path
        Holds `checkpoint.pt`, one optimiser state per worker, `log.jsonl` and `config.json`.
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
    (run / "config.json").write_text(json.dumps(asdict(config), indent=1))
    network.share_memory()
    averaged.share_memory()
    context = multiprocessing.get_context("spawn")
    step = context.Value("q", start)
    last = config.steps if until is None else min(until, config.steps)
    arguments = (pool, run, config, network, averaged, step, last)
    processes = [context.Process(target=_work, args=(n, *arguments)) for n in range(workers)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        raise RuntimeError(f"a training worker ended with {[process.exitcode for process in processes]}")


def _work(
    worker: int, pool: Path, run: Path, config: TrainConfig, network: UNet, averaged: UNet, counter: Any, last: int
) -> None:
    torch.set_num_threads(1)
    os.nice(2 * worker)
    groups = by_kind(load_pool(pool))
    optimiser = torch.optim.AdamW(network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    state_file = run / f"optimiser_{worker}.pt"
    if state_file.exists():
        optimiser.load_state_dict(torch.load(state_file, weights_only=True))
    saved, window, averaged_at = time.monotonic(), [], int(counter.value)
    while True:
        with counter.get_lock():
            step = int(counter.value)
            if step >= last:
                break
            counter.value = step + 1
        loss = _step(worker, step, config, network, optimiser, groups)
        window.append(loss)
        if worker == 0:
            average(averaged, network, ema_decay(config, step) ** max(step - averaged_at, 1))
            averaged_at = step
        if time.monotonic() - saved > config.save_every_s:
            _save(worker, run, step + 1, network, averaged, optimiser, window)
            saved, window = time.monotonic(), []
    _save(worker, run, last, network, averaged, optimiser, window)


def _step(worker: int, step: int, config: TrainConfig, network: UNet, optimiser: torch.optim.Optimizer, groups: Any) -> float:
    rng = np.random.default_rng([config.seed, worker, step])
    size = config.large_patch if step >= config.large_from * config.steps else config.small_patch
    sample = draw_sample(groups, size, rng)
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


def _save(
    worker: int, run: Path, step: int, network: UNet, averaged: UNet, optimiser: torch.optim.Optimizer, window: list[float]
) -> None:
    _replace(run / f"optimiser_{worker}.pt", optimiser.state_dict())
    if worker == 0:
        state = {"network": network.state_dict(), "averaged": averaged.state_dict(), "step": step}
        _replace(run / "checkpoint.pt", state)
    row = {"step": step, "worker": worker, "n": len(window), "loss": float(np.mean(window)) if window else None, "time": time.time()}
    with (run / "log.jsonl").open("a") as log:
        log.write(json.dumps(row) + "\n")


def _replace(path: Path, content: Any) -> None:
    temporary = path.with_suffix(".tmp")
    torch.save(content, temporary)
    temporary.replace(path)


def with_steps(config: TrainConfig, steps: int | None) -> TrainConfig:
    """Return the configuration with another number of steps, or itself."""
    return config if steps is None else replace(config, steps=steps)
