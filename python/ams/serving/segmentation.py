"""Semantic segmentation, the built-in task of ams.serve and ams.Device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from ..errors import InvalidArgumentError
from .task import IMAGENET_MEAN, IMAGENET_STANDARD_DEVIATION, normalized

if TYPE_CHECKING:
    import torch

IGNORED = 255
_NO_TARGET = -100  # what torch's cross entropy skips
_MOST_WEIGHT = 10.0  # of a class, times the weight of the commonest one
_MAX_CLASSES = 254


class SegmentationTask(_core.SegmentationTask):
    """Semantic segmentation for ams.serve, ams.Server and ams.Device.

    `classes`: how many, 2 to 254, or their names. `input_size`: (height, width) that the module
    sees, 32 to 4096 pixels each. `selected_classes`: two or more ascending ids, which alone are
    trained and predicted; empty: all. `mean`, `standard_deviation`: of RGB in 0 to 1.
    `class_balance`: a pixel weighs its class's frequency to the power of minus this, in [0, 1].
    `align_corners`: how coarse logits are enlarged, as in torch's interpolate.

    The module maps float32 [N, 3, height, width] to logits [N, classes, h, w], or gives them as
    `out` or `logits` (torchvision, transformers); one output of 2 classes is the logit of class 1.
    A teacher gives whole numbers [h, w] of any size for each frame, 255 where nobody knows.
    Predictions are uint8 [height, width]. For a phi() or draw() of your own derive from
    ams.ModuleTask; loss(), accuracy() and predict() may be replaced here. Immutable.

    Raises ams.InvalidArgumentError.
    """

    label_text = f"whole numbers [height, width] of 0 to 255 ({IGNORED}: ignored), of any size"

    def __init__(
        self,
        classes: int | Sequence[str],
        *,
        input_size: tuple[int, int] = (128, 256),
        selected_classes: Sequence[int] = (),
        mean: Sequence[float] = IMAGENET_MEAN,
        standard_deviation: Sequence[float] = IMAGENET_STANDARD_DEVIATION,
        class_balance: float = 0.25,
        align_corners: bool = False,
    ) -> None:
        names = [] if isinstance(classes, int) else list(classes)
        count = classes if isinstance(classes, int) else len(names)
        if isinstance(classes, str) or not 2 <= count <= _MAX_CLASSES:
            raise InvalidArgumentError(
                f"classes is {classes!r:.100}; allowed are 2 to {_MAX_CLASSES}, or their names"
            )
        selected = [int(i) for i in selected_classes]
        fit = selected == sorted(set(selected)) and all(0 <= i < count for i in selected)
        if not fit or len(selected) == 1:
            raise InvalidArgumentError(
                f"selected_classes is {selected}; allowed are two or more ascending ids below "
                f"{count}, or none"
            )
        if not 0 <= class_balance <= 1:
            raise InvalidArgumentError(f"class_balance is {class_balance}; allowed is 0 to 1")
        _core.SegmentationTask.__init__(
            self, selected or count, names, (int(input_size[0]), int(input_size[1]))
        )
        self.num_classes = count
        self.class_names = tuple(names)
        self.selected_classes = tuple(selected)
        self.input_size = (int(input_size[0]), int(input_size[1]))
        self.mean = tuple(float(value) for value in mean)
        self.standard_deviation = tuple(float(value) for value in standard_deviation)
        self._class_balance = class_balance
        self._align_corners = align_corners
        self._ids = np.array(selected or range(count), np.uint8)
        self._targets = np.full(256, _NO_TARGET, np.int64)
        self._targets[self._ids] = np.arange(len(self._ids))

    # ---- labels

    def check_label(self, label: Any, frame: np.ndarray) -> np.ndarray:
        """uint8 [h, w]. Raises ams.InvalidArgumentError."""
        array = label.detach().cpu().numpy() if hasattr(label, "detach") else np.asarray(label)
        whole = array.dtype.kind in "biu"
        if array.ndim != 2 or not array.size or not whole:
            raise InvalidArgumentError(
                f"the teacher gave {array.dtype} {list(array.shape)} for a frame of "
                f"{list(frame.shape)}; wanted are {self.label_text}"
            )
        if array.dtype != np.uint8:
            least, most = int(array.min()), int(array.max())
            if least < 0 or most > 255:
                raise InvalidArgumentError(
                    f"the teacher gave class ids from {least} to {most}; wanted are "
                    f"{self.label_text}"
                )
        return np.ascontiguousarray(array, np.uint8)

    # ---- training

    def collate(self, samples: Sequence[Any]) -> tuple[Any, Any]:
        """(inputs, int64 [N, height, width] of places in the selected classes, -100: ignored)."""
        import torch

        labels = np.stack([sample.labels for sample in samples])
        return self.inputs([sample.frame for sample in samples]), torch.from_numpy(
            self._targets[labels]
        )

    def loss(self, outputs: Any, labels: Any) -> torch.Tensor | None:
        """Cross entropy over the selected classes; None without a pixel that has one."""
        import torch.nn.functional as functional

        known = labels != _NO_TARGET
        count = int(known.sum())
        if count == 0:
            return None
        weights = None
        if self._class_balance > 0:
            shares = labels[known].bincount(minlength=len(self._ids)).float() / count
            weights = shares.clamp_min(1 / count) ** -self._class_balance
            most = _MOST_WEIGHT * float(shares.max()) ** -self._class_balance
            weights = weights.clamp_max(most) * (shares > 0)
        logits = self._logits(outputs, labels.shape[1:])
        return functional.cross_entropy(logits, labels, weights, ignore_index=_NO_TARGET)

    def accuracy(self, outputs: Any, labels: Any) -> float | None:
        """Mean IoU of the classes that occur in the labels."""
        classes = len(self._ids)
        known = labels != _NO_TARGET
        predicted = self._logits(outputs, labels.shape[1:]).argmax(1)
        pairs = labels[known] * classes + predicted[known]
        confusion = pairs.bincount(minlength=classes * classes).view(classes, classes).double()
        occurs = confusion.sum(1) > 0
        if not bool(occurs.any()):
            return None
        hits = confusion.diag()
        iou = hits / (confusion.sum(1) + confusion.sum(0) - hits)
        return float(iou[occurs].mean())

    # ---- both ends

    def inputs(self, frames: Sequence[np.ndarray]) -> Any:
        """float32 [N, 3, height, width]: scaled to `input_size` and normalised."""
        return normalized(frames, self.input_size, self.mean, self.standard_deviation)

    def forward(self, module: Any, inputs: Any) -> Any:
        """What the module gives: module(inputs)."""
        return module(inputs)

    def predict(self, outputs: Any) -> list[np.ndarray]:
        """uint8 [height, width] for each frame."""
        places = self._logits(outputs, self.input_size).argmax(1).cpu().numpy()
        return list(self._ids[places])

    def _logits(self, outputs: Any, size: Sequence[int]) -> torch.Tensor:
        """Of the selected classes, float32 in this size."""
        import torch
        import torch.nn.functional as functional

        logits = outputs_of(outputs)
        if logits.shape[1] == 1 and self.num_classes == 2:
            logits = torch.cat([torch.zeros_like(logits), logits], dim=1)
        if logits.shape[1] != self.num_classes:
            raise InvalidArgumentError(
                f"the module gives {logits.shape[1]} classes; the task has {self.num_classes}"
            )
        if self.selected_classes:
            logits = logits[:, list(self.selected_classes)]
        if tuple(logits.shape[2:]) == tuple(size):
            return logits.float()
        return functional.interpolate(
            logits.float(), tuple(size), mode="bilinear", align_corners=self._align_corners
        )


def outputs_of(outputs: Any) -> torch.Tensor:
    """The logits [N, classes, h, w] of what a segmentation network gives. Raises
    ams.InvalidArgumentError."""
    import torch

    found = outputs
    for name in ("out", "logits"):
        if isinstance(found, Mapping):
            found = found.get(name, found)
        else:
            found = getattr(found, name, found)
    if not isinstance(found, torch.Tensor) or found.dim() != 4:
        shape = list(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
        raise InvalidArgumentError(
            f"the module gives {shape}; the task segmentation wants logits [N, classes, h, w], or "
            "a dictionary or an object that has them as out or logits"
        )
    return found
