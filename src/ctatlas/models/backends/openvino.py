"""OpenVINO on the CPU: one thread a window, several windows at once, compiled for windows of one shape."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import LifoQueue
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from ctatlas.errors import ModelError
from ctatlas.models.backends.onnxruntime import AT_MOST_WORKERS, checked_ends

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def _untold() -> Iterator[None]:
    """Keep the package that reports how OpenVINO is used from being imported along with it."""
    name = "openvino_telemetry"
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]  # importing it fails; OpenVINO then goes without
    try:
        yield
    finally:
        del sys.modules[name]


with _untold():
    import openvino


@dataclass(frozen=True, slots=True)
class Compiled:
    """An open network; see `ctatlas.models.model.Backend`."""

    source: bytes
    n_channels: int | None
    n_classes: int | None
    workers: int
    precision: str
    ready: dict[tuple[int, ...], LifoQueue[Any]] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)

    def logits(self, windows: np.ndarray) -> np.ndarray:
        """Turn windows (n, channels, x, y, z) float32 into logits (n, classes, x, y, z) float32.

        Raises
        ------
        ModelError
            When the network cannot take windows of this shape.
        """
        try:
            requests = self._requests(windows.shape[1:])
            request = requests.get()
            try:
                found = [self._run(request, each[None]) for each in windows]
            finally:
                requests.put(request)
        except RuntimeError as error:
            raise ModelError(f"the network failed on windows {windows.shape}: {_line(error)}") from None
        return np.concatenate(found).astype(np.float32, copy=False)

    def _run(self, request: Any, window: np.ndarray) -> np.ndarray:
        """Run one window; tensors cross into OpenVINO and back one at a time.

        Two threads that did so at once for the first time in a process have been seen to wait for each other for ever.
        """
        with self.lock:
            request.set_input_tensor(openvino.Tensor(np.ascontiguousarray(window)))
        request.infer()
        with self.lock:
            found: np.ndarray = request.get_output_tensor().data.copy()
        return found

    def _requests(self, shape: tuple[int, ...]) -> LifoQueue[Any]:
        """Compile for windows of a shape, once; return as many places to run one as there are workers."""
        with self.lock:
            if shape not in self.ready:
                network = openvino.Core().read_model(self.source)
                network.reshape([1, *shape])
                compiled = openvino.Core().compile_model(network, "CPU", self._manner())
                self.ready.clear()  # one shape at a time: a compiled network holds its weights and maps
                self.ready[shape] = LifoQueue()
                for _ in range(self.workers):
                    self.ready[shape].put(compiled.create_infer_request())
            return self.ready[shape]

    def _manner(self) -> dict[str, object]:
        return {
            "INFERENCE_PRECISION_HINT": self.precision,  # else it takes bf16 where the processor has it
            "NUM_STREAMS": self.workers,
            "INFERENCE_NUM_THREADS": self.workers,
            "ENABLE_CPU_PINNING": False,
        }


def open_compiled(weights: bytes, threads: int | None, *, precision: str = "f32") -> Compiled:
    """Open the bytes of an ONNX file; weights outside these bytes are refused.

    Parameters
    ----------
    weights : bytes
        A whole ONNX file with one input (n, channels, x, y, z) float32 and one output (n, classes, x, y, z).
    threads : int or None
        How many windows to run at once; None: as many as the machine has cores.
    precision : {"f32", "bf16"}, optional
        What it computes in.

    Raises
    ------
    ModelError
        When the bytes are no such network.
    """
    n_channels, n_classes = checked_ends(weights)
    workers = min(threads or os.cpu_count() or 1, AT_MOST_WORKERS)
    return Compiled(weights, n_channels, n_classes, workers, precision)


def open_in_bf16(weights: bytes, threads: int | None) -> Compiled:
    """Open the bytes of an ONNX file as `open_compiled`, to compute in bfloat16."""
    return open_compiled(weights, threads, precision="bf16")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
