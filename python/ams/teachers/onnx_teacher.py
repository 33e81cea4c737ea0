"""ONNX files as teachers."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import InvalidArgumentError, IoError
from .arrays import ArrayInput, ArrayTeacher, Decode
from .class_map import ClassMap
from .torch_networks import IMAGENET_DEVIATION, IMAGENET_MEAN, require

_TYPES = {"tensor(uint8)": np.uint8, "tensor(float)": np.float32, "tensor(float16)": np.float16}


class OnnxTeacher(ArrayTeacher):
    """Labels frames with an ONNX file in ONNX Runtime.

        OnnxTeacher("segmenter.onnx", classes=class_map("cityscapes", ["road", "person", "car"]))

    path: a model with one input, [N, 3, H, W] or [N, H, W, 3]; extents may be open. uint8 inputs
        get pixels as they are, float16 and float32 ones (pixel / 255 - mean) / standard_deviation,
        by default as ImageNet's. A model is a program: open only what you trust.
    classes: a ClassMap; None: ids as the model gives them.
    input_size: (height, width) that the model sees where it leaves them open; None: the frames'.
    decode: `decode(outputs, frames)` makes the labels of a batch from arrays by the outputs' names;
        None for outputs that are logits [N, classes, h, w], class ids [N, h, w] or [N, 1, h, w], or
        boxes [N, K, 4] (x0, y0, x1, y1, pixels of the input) with labels and scores [N, K], named
        so.
    min_score: boxes with less are no labels. batch_size: frames at once where the model allows it.
    execution_providers: of ONNX Runtime, in order of preference; None: all that are there.
    threads: compute threads, 0 for as many as cores.

    Segmentation gives uint8 [N, H, W], detection a list of sets of boxes. Not thread-safe.
    Raises ams.UnavailableError without onnxruntime, ams.IoError without the file, and
    ams.InvalidArgumentError for a model or labels that do not fit.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        classes: ClassMap | None = None,
        input_size: tuple[int, int] | None = None,
        mean: Sequence[float] = IMAGENET_MEAN,
        standard_deviation: Sequence[float] = IMAGENET_DEVIATION,
        decode: Decode | None = None,
        min_score: float = 0.5,
        batch_size: int = 8,
        execution_providers: Sequence[str] | None = None,
        threads: int = 0,
    ) -> None:
        runtime = require("onnxruntime", "OnnxTeacher")
        path = os.fsdecode(path)
        if not os.path.isfile(path):
            raise IoError(f"there is no file '{path}'")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3  # errors
        providers = list(execution_providers or runtime.get_available_providers())
        try:
            self._session = runtime.InferenceSession(path, options, providers=providers)
        except Exception as error:  # of no common class
            raise InvalidArgumentError(f"ONNX Runtime refuses '{path}': {error}") from error
        inputs = self._session.get_inputs()
        if len(inputs) != 1:
            names = ", ".join(f"'{each.name}'" for each in inputs)
            raise InvalidArgumentError(
                f"'{path}' has {len(inputs)} inputs ({names}); allowed is one, of pictures"
            )
        if inputs[0].type not in _TYPES:
            raise InvalidArgumentError(
                f"'{path}' takes '{inputs[0].name}' as {inputs[0].type}; allowed are "
                + ", ".join(_TYPES)
            )
        super().__init__(
            ArrayInput(
                inputs[0].name,
                tuple(n if isinstance(n, int) and n > 0 else None for n in inputs[0].shape),
                np.dtype(_TYPES[inputs[0].type]),
            ),
            who=f"'{path}'",
            classes=classes,
            input_size=input_size,
            mean=mean,
            standard_deviation=standard_deviation,
            decode=decode,
            min_score=min_score,
            batch_size=batch_size,
        )
        self._names = [output.name for output in self._session.get_outputs()]

    def _run(self, pictures: np.ndarray) -> Mapping[str, Any]:
        try:
            outputs = self._session.run(self._names, {self._input.name: pictures})
        except Exception as error:  # of no common class
            raise InvalidArgumentError(
                f"{self._who} cannot label pictures of {list(pictures.shape)}: {error}"
            ) from error
        return dict(zip(self._names, outputs, strict=True))
