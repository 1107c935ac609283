"""onnxruntime on the CPU: one thread a window, several windows at once, so that threads never change a result."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
import onnxruntime

from ctatlas.errors import ModelError

# A window of 64 voxels a side through the bundled network takes some 100 MB, so the number at once is bounded.
AT_MOST_WORKERS = 8
# Loaded from bytes, a network has no folder; naming one that is not there refuses every reference to another file.
_NOWHERE = "/no-external-data"
_FATAL_ONLY = 4  # what is less becomes an exception, which says it better


@dataclass(frozen=True, slots=True)
class Session:
    """An open network; see `ctatlas.models.model.Backend`."""

    network: onnxruntime.InferenceSession
    workers: int

    @property
    def n_channels(self) -> int | None:
        """Return how many channels the network takes, if it says so."""
        return _second_axis(self.network.get_inputs()[0])

    @property
    def n_classes(self) -> int | None:
        """Return how many classes the network gives, if it says so."""
        return _second_axis(self.network.get_outputs()[0])

    def logits(self, windows: np.ndarray) -> np.ndarray:
        """Turn windows (n, channels, x, y, z) float32 into logits (n, classes, x, y, z) float32.

        Raises
        ------
        ModelError
            When the network cannot take windows of this shape.
        """
        entry = self.network.get_inputs()[0]
        alone = isinstance(entry.shape[0], int)  # a network of one window a call
        try:
            groups = [each[None] for each in windows] if alone else [windows]
            found = [self.network.run(None, {entry.name: group}, _giving_back())[0] for group in groups]
        except Exception as error:  # noqa: BLE001  onnxruntime's own classes share no base but Exception
            raise ModelError(f"the network failed on windows {windows.shape}: {_line(error)}") from None
        return np.asarray(found[0] if len(found) == 1 else np.concatenate(found), np.float32)


def open_session(weights: bytes, threads: int | None) -> Session:
    """Open the bytes of an ONNX file; weights outside these bytes are refused.

    Parameters
    ----------
    weights : bytes
        A whole ONNX file with one input (n, channels, x, y, z) float32 and one output (n, classes, x, y, z).
    threads : int or None
        How many windows to run at once; None: as many as the machine has cores.

    Raises
    ------
    ModelError
        When the bytes are no such network.
    """
    return Session(_opened(weights, _options()), min(threads or os.cpu_count() or 1, AT_MOST_WORKERS))


def checked_ends(weights: bytes) -> tuple[int | None, int | None]:
    """Return how many channels a network takes and how many classes it gives, as far as its bytes say so.

    Raises
    ------
    ModelError
        As `open_session`.
    """
    options = _options()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = Session(_opened(weights, options), workers=1)
    return session.n_channels, session.n_classes


def _options() -> onnxruntime.SessionOptions:
    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _FATAL_ONLY
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.add_session_config_entry("session.load_model_format", "ONNX")
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", _NOWHERE)
    return options


def _giving_back() -> onnxruntime.RunOptions:
    """Let a run give its memory back, so that what comes after the network has it."""
    options = onnxruntime.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


def _opened(weights: bytes, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
    try:
        network = onnxruntime.InferenceSession(weights, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001  onnxruntime's own classes share no base but Exception
        raise ModelError(f"not an ONNX network that onnxruntime can open: {_line(error)}") from None
    _check(network)
    return network


def _check(network: onnxruntime.InferenceSession) -> None:
    ends = {"input": network.get_inputs(), "output": network.get_outputs()}
    for what, values in ends.items():
        shapes = ", ".join(f"{value.name} {value.type} {value.shape}" for value in values)
        if len(values) != 1 or values[0].type != "tensor(float)" or len(values[0].shape) != 5:
            raise ModelError(f"expected one {what} of five float32 axes (n, channels, x, y, z); found {shapes}")


def _second_axis(value: onnxruntime.NodeArg) -> int | None:
    size = value.shape[1]
    return size if isinstance(size, int) else None


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
