"""Networks of torchvision as teachers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..detection import boxes_from_pixels
from ..errors import InvalidArgumentError
from .batches import BatchTeacher
from .class_map import ClassMap
from .torch_networks import class_ids, device_of, normalised, pictures, prepared, require

if TYPE_CHECKING:
    import torch


class TorchvisionTeacher(BatchTeacher):
    """Labels frames with a segmentation or detection network of torchvision.

        TorchvisionTeacher("deeplabv3_mobilenet_v3_large", classes=["person", "car"])
        TorchvisionTeacher(my_fcos, classes=class_map("coco91", ["person", "car"]), min_score=0.6)

    model: a torch.nn.Module of torchvision.models.segmentation or .detection, or one that works
        alike, on its device; or a name that torchvision.models.get_model() knows, which is loaded
        with its best weights (torchvision downloads them once).
    weights: the member of a torchvision weights class that the model was made with; it tells the
        names of the classes and what the network wants its pictures like. Known of a name.
    classes: what the labels' ids shall be: a ClassMap; names, where the weights tell the
        teacher's; None: as the network gives them.
    detects: the network takes a list of pictures and gives boxes. By default known by its class.
    input_size: (height, width) that a segmentation network sees; by default as the weights say, or
        the frames' own. A detection network resizes by itself.
    min_score: boxes with less are no labels; 0 to 1. batch_size: frames at once.

    Segmentation gives uint8 [N, H, W], detection a list of sets of boxes. Not thread-safe.
    Raises ams.UnavailableError without torch or torchvision, and ams.InvalidArgumentError.
    """

    def __init__(
        self,
        model: torch.nn.Module | str,
        *,
        weights: Any = None,
        classes: ClassMap | Sequence[str] | None = None,
        detects: bool | None = None,
        input_size: tuple[int, int] | None = None,
        min_score: float = 0.5,
        batch_size: int = 8,
    ) -> None:
        if isinstance(model, str):
            model, weights = _load(model, weights)
        self._model = prepared(model, "TorchvisionTeacher")
        self._detects = _is_detector(self._model) if detects is None else detects
        self._input_size = input_size
        self._transform: Callable[[Any], Any] | None = None
        names = None
        if weights is not None:
            names = weights.meta.get("categories")
            self._transform = None if input_size is not None else weights.transforms()
        super().__init__(classes=classes, source=names, batch_size=batch_size, min_score=min_score)

    def _label(self, frames: np.ndarray) -> list[Any]:
        import torch

        size = frames.shape[1:3]
        with torch.inference_mode():
            inputs = pictures(frames, device_of(self._model))
            if self._detects:
                return [_boxes(found, size) for found in self._model(list(inputs.float() / 255))]
            if self._transform is not None:
                inputs = self._transform(inputs)
            else:
                inputs = normalised(inputs, self._input_size)
            outputs = self._model(inputs)
            logits = outputs["out"] if isinstance(outputs, dict) else outputs
            if not (isinstance(logits, torch.Tensor) and logits.dim() == 4):
                raise InvalidArgumentError(
                    "the network gives no segmentation, a tensor [N, classes, h, w] or a "
                    'dictionary with one as "out"; pass detects=True for a detector'
                )
            return class_ids(logits, size)


def _load(name: str, weights: Any) -> tuple[Any, Any]:
    models = require("torchvision", f"the teacher '{name}'").models
    try:
        if weights is None:
            weights = models.get_model_weights(name).DEFAULT
        return models.get_model(name, weights=weights), weights
    except ValueError as error:
        known = models.list_models(models.segmentation) + models.list_models(models.detection)
        raise InvalidArgumentError(
            f"torchvision has no teacher '{name}' ({error}); known are {', '.join(known)}"
        ) from None


def _is_detector(model: torch.nn.Module) -> bool:
    return any(
        kind.__module__.startswith("torchvision.models.detection") for kind in type(model).__mro__
    )


def _boxes(found: dict[str, torch.Tensor], size: tuple[int, int]) -> np.ndarray:
    edges, classes, scores = (
        found[name].float().cpu().numpy() for name in ("boxes", "labels", "scores")
    )
    return boxes_from_pixels(edges, classes, scores, width=size[1], height=size[0])
