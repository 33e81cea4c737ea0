"""A student in ONNX Runtime: what a device without torch predicts with."""

from __future__ import annotations

import os
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from . import bundle as bundles
from ._core import resize_frame
from .errors import InvalidArgumentError, MalformedDataError, UnavailableError

__all__ = ["OnnxPredictor", "execution_providers"]


def _runtime() -> ModuleType:
    try:
        import onnxruntime
    except ImportError as error:
        raise UnavailableError(
            "a student bundle runs in ONNX Runtime, which is not installed: pip install "
            f"'libams[edge]', or pip install onnxruntime ({error})"
        ) from error
    return onnxruntime


def execution_providers() -> list[str]:
    """Names that OnnxPredictor takes here, e.g. "CPU" or "CUDA". Raises ams.UnavailableError."""
    names = _runtime().get_available_providers()
    return [name.removesuffix("ExecutionProvider") for name in names]


class OnnxPredictor:
    """One copy of a student for a device, a Predictor of ams.parts. Not thread-safe.

    `bundle`: a StudentBundle, or the path of its file. `threads`: compute threads, 1 to 1024.
    `execution_provider`: what computes, e.g. "CPU", "CUDA", "TensorRT", "CoreML" or "XNNPACK"; what
    it cannot do, the CPU does. The student begins with the bundle's values.

    Raises as bundle.read(), ams.UnavailableError without ONNX Runtime, ams.InvalidArgumentError for
    options out of range, and ams.MalformedDataError for a graph that ONNX Runtime refuses.
    """

    def __init__(
        self,
        bundle: bundles.StudentBundle | str | os.PathLike[str],
        *,
        threads: int = 1,
        execution_provider: str = "CPU",
    ) -> None:
        if not isinstance(bundle, bundles.StudentBundle):
            bundle = bundles.read(bundle)
        if not 1 <= threads <= 1024:
            raise InvalidArgumentError(f"threads is {threads}; allowed are 1 to 1024")
        self._runtime = _runtime()
        self._providers = _providers(execution_provider)
        self._options = self._runtime.SessionOptions()
        self._options.intra_op_num_threads = threads
        self._options.inter_op_num_threads = 1
        self._options.log_severity_level = 3  # errors: it warns of every provider that skips a node
        self.bundle = bundle
        self.load(bundle.values)

    @property
    def manifest(self) -> Any:
        """The layout of load()'s values."""
        return self.bundle.manifest

    def load(self, values: np.ndarray) -> None:
        """Opens the network with these values, float32 [dimension], in the place of the old one.

        Batch norm is folded anew. The GIL is held only while the values are copied.
        """
        model = self.bundle.onnx_model(values)
        try:
            session = self._runtime.InferenceSession(
                bytes(model), self._options, providers=self._providers
            )
        except Exception as error:  # of no common class
            raise MalformedDataError(
                f"ONNX Runtime cannot open {bundles.GRAPH} of '{self.bundle.path}': {error}"
            ) from error
        self._check(session.get_inputs(), [("frame", [1, *self._size, 3])])
        self._check(session.get_outputs(), [("labels", [1, *self._size])])
        self._session = session

    def predict(self, frame: np.ndarray) -> np.ndarray:
        """uint8 [H, W, 3] of any size, RGB, to class ids, uint8 [input_height, input_width]."""
        height, width = self._size
        if frame.shape != (height, width, 3):
            frame = resize_frame(frame, width=width, height=height)
        try:
            (labels,) = self._session.run(["labels"], {"frame": frame[None]})
        except Exception as error:  # of no common class
            raise InvalidArgumentError(f"the frame cannot be predicted: {error}") from error
        return labels[0]

    @property
    def _size(self) -> tuple[int, int]:
        return self.bundle.input_height, self.bundle.input_width

    def _check(self, found: Sequence[Any], wanted: list[tuple[str, list[int]]]) -> None:
        tensors = [(tensor.name, tensor.shape, tensor.type) for tensor in found]
        if tensors != [(name, shape, "tensor(uint8)") for name, shape in wanted]:
            ((name, shape),) = wanted
            raise MalformedDataError(
                f"{bundles.GRAPH} of '{self.bundle.path}' has {tensors!r:.300}; needed is "
                f"{name}, uint8 {shape}, alone"
            )


def _providers(name: str) -> list[str]:
    """With the CPU for what it cannot do."""
    allowed = execution_providers()
    for known in allowed:
        if name.lower().removesuffix("executionprovider") == known.lower():
            return list(dict.fromkeys([f"{known}ExecutionProvider", "CPUExecutionProvider"]))
    raise InvalidArgumentError(
        f"execution_provider is '{name}'; allowed with this ONNX Runtime are {', '.join(allowed)}"
    )
