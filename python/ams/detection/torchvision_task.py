"""Detectors of torchvision as students: SSD, SSDLite, FCOS, RetinaNet, Faster R-CNN."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

import ams

from .boxes import boxes_from_pixels
from .task import DetectionTask

if TYPE_CHECKING:
    import torch

_OF_TORCHVISION = "torchvision.models.detection"


class TorchvisionDetectionTask(DetectionTask):
    """Detection with a detector of torchvision, as it is, or a class derived from one.

        model = torchvision.models.detection.ssdlite320_mobilenet_v3_large(num_classes=3, ...)
        ams.serve(model, teacher, task=ams.detection.TorchvisionDetectionTask(["person", "car"]))

    `classes`: their names, by id. `labels`: what the detector calls them, one each; by default 1, 2,
    ..., as 0 is its background; for weights of COCO e.g. [1, 3]. What it sees besides is left out.
    `input_size`: (height, width) of what it gets, which it scales and normalises by itself.
    Others: as DetectionTask.

    The loss is the detector's own: the sum of what it gives for pictures and boxes. Batch norm and
    drop-out stay in eval mode.
    """

    def __init__(
        self,
        classes: Sequence[str],
        *,
        labels: Sequence[int] | None = None,
        input_size: tuple[int, int] = (320, 320),
        min_score: float = 0.05,
        shown_score: float = 0.3,
    ) -> None:
        super().__init__(
            classes, input_size=input_size, min_score=min_score, shown_score=shown_score
        )
        self.labels = list(range(1, len(classes) + 1)) if labels is None else list(labels)
        if len(set(self.labels)) != len(classes) or min(self.labels) < 0:
            raise ams.InvalidArgumentError(
                f"labels are {self.labels}; allowed are {len(classes)} different numbers of 0 or more, "
                "one for each class"
            )
        self._ids = {label: place for place, label in enumerate(self.labels)}

    def inputs(self, frames: Sequence[np.ndarray]) -> list[torch.Tensor]:
        """float32 [3, height, width] in 0 to 1 of each frame."""
        import torch

        return [
            torch.from_numpy(self._resized(frame).transpose(2, 0, 1).astype(np.float32) / 255)
            for frame in frames
        ]

    def collate(self, samples: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[Any, Any]:
        """((pictures, their boxes as torchvision wants them), sets of boxes)."""
        pictures = self.inputs([frame for frame, _ in samples])
        labels = [boxes for _, boxes in samples]
        return (pictures, [self._target(boxes) for boxes in labels]), labels

    def forward(self, module: Any, inputs: Any) -> Any:
        """Of pictures: what the detector sees. Of pictures and boxes: its losses."""
        if not isinstance(inputs, tuple):
            return module(inputs)
        with _computing_losses(module):
            losses = module(*inputs)
        if not isinstance(losses, Mapping):
            raise ams.InvalidArgumentError(
                f"{type(module).__name__} gives {type(losses).__name__} for pictures and boxes; "
                f"allowed are detectors of {_OF_TORCHVISION}, which give their losses"
            )
        return losses

    def loss(self, outputs: Any, labels: Any) -> torch.Tensor:
        """The sum of the detector's losses, a scalar."""
        total: torch.Tensor = sum(outputs.values())
        return total

    def predict(self, outputs: Any) -> list[np.ndarray]:
        """One set of boxes, float32 [n, 6], for each picture."""
        return [self._boxes(found) for found in outputs]

    def _target(self, boxes: np.ndarray) -> dict[str, torch.Tensor]:
        import torch

        height, width = self._size()
        edges = torch.from_numpy(boxes[:, :4] * np.float32([width, height, width, height]))
        has_area = (edges[:, 0] < edges[:, 2]) & (edges[:, 1] < edges[:, 3])
        labels = torch.tensor([self.labels[int(place)] for place in boxes[:, 4]], dtype=torch.int64)
        return {"boxes": edges[has_area], "labels": labels[has_area]}

    def _boxes(self, found: dict[str, torch.Tensor]) -> np.ndarray:
        edges, labels, scores = (
            found[name].detach().float().cpu().numpy() for name in ("boxes", "labels", "scores")
        )
        places = np.array([self._ids.get(int(label), -1) for label in labels], np.int64)
        kept = (places >= 0) & (scores >= self.min_score)
        height, width = self._size()
        return boxes_from_pixels(
            edges[kept], places[kept], scores[kept], width=width, height=height
        )

    def _size(self) -> tuple[int, int]:
        assert self.input_size is not None  # of the constructor
        return self.input_size


@contextlib.contextmanager
def _computing_losses(module: torch.nn.Module) -> Iterator[None]:
    """Detectors look at their own `training` for that; layers of torch.nn keep theirs."""
    changed = [
        part
        for part in module.modules()
        if not part.training
        and any(kind.__module__.startswith(_OF_TORCHVISION) for kind in type(part).__mro__)
    ]
    try:
        for part in changed:
            part.training = True
        yield
    finally:
        for part in changed:
            part.training = False
