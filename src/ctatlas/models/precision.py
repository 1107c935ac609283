"""An ONNX file with fewer bits a number: half as large, or faster where a processor has instructions for it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ctatlas.errors import InstallError, ModelError

_SMALL = 64  # numbers below which halving a tensor saves nothing
_HALF = "_half"


def with_half_weights(network: bytes) -> bytes:
    """Store every large weight as float16 with a cast in front of its user; the arithmetic stays float32."""
    import onnx

    model = onnx.load_from_string(network)
    halve_weights(model)
    onnx.checker.check_model(model)
    written: bytes = model.SerializeToString()
    return written


def halve_weights(model: Any) -> None:
    """Halve the weights of a network that is open, as `with_half_weights`."""
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for tensor in model.graph.initializer:
        weights = numpy_helper.to_array(tensor)
        if weights.dtype != np.float32 or weights.size < _SMALL:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(weights.astype(np.float16), f"{name}{_HALF}"))
        casts.append(helper.make_node("Cast", [f"{name}{_HALF}"], [name], to=TensorProto.FLOAT, name=f"widen_{name}"))
    for position, cast in enumerate(casts):
        model.graph.node.insert(position, cast)


def named_weights(path: Path) -> dict[str, np.ndarray]:
    """Return the weights of an ONNX file as float32 by the names they had before they were halved.

    Raises
    ------
    InstallError
        Without onnx.
    ModelError
        When the file is no ONNX network.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError
        from onnx import numpy_helper
    except ModuleNotFoundError as error:
        raise InstallError(f"reading a network's weights needs {error.name}: pip install 'ctatlas[train]'") from None
    try:
        stored = onnx.load(path).graph.initializer
    except DecodeError:
        raise ModelError(f"{path}: is no ONNX network") from None
    arrays = {tensor.name.removesuffix(_HALF): numpy_helper.to_array(tensor) for tensor in stored}
    return {name: array.astype(np.float32) for name, array in arrays.items() if array.dtype.kind == "f"}


def in_int8(network: bytes, windows: Sequence[np.ndarray]) -> bytes:
    """Compute convolutions and products on 8-bit integers, whose ranges come from windows (1, channels, x, y, z)."""
    try:
        from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
        from onnxruntime.quantization.shape_inference import quant_pre_process
    except ModuleNotFoundError as error:
        raise InstallError(f"writing int8 needs {error.name}: pip install 'ctatlas[train]'") from None

    class Windows(CalibrationDataReader):  # type: ignore[misc]
        """Hand out one window after the other."""

        def __init__(self) -> None:
            self.left: Iterator[np.ndarray] = iter(windows)

        def get_next(self) -> dict[str, np.ndarray] | None:
            """Return the next, by the name of the network's input."""
            window = next(self.left, None)
            return None if window is None else {"windows": window}

    with tempfile.TemporaryDirectory(prefix="ctatlas-") as place:
        whole, ready, reduced = (Path(place) / name for name in ("whole.onnx", "ready.onnx", "reduced.onnx"))
        whole.write_bytes(network)
        quant_pre_process(whole, ready, skip_symbolic_shape=True)  # weights that are cast become weights
        quantize_static(
            ready,
            reduced,
            Windows(),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=["Conv", "MatMul", "Gemm"],
            per_channel=True,
        )
        return reduced.read_bytes()
