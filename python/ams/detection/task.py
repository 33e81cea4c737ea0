"""Detection as a task of sessions, hosts, the simulator and ams.serve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

import ams
from ams._core import (
    HardBoxLoss,
    SlidingPrecision,
    box_disagreement,
    check_boxes,
    decode_centre_maps,
    draw_boxes,
    pack_boxes,
    resize_frame,
    unpack_boxes,
)

from ..serving.task import IMAGENET_MEAN, IMAGENET_STANDARD_DEVIATION, ModuleTask

if TYPE_CHECKING:
    import torch

_loss = HardBoxLoss()


class DetectionTask(ModuleTask):
    """Objects as boxes. Frames are uint8 [H, W, 3]; labels and predictions float32 [n, 6] (left,
    top, right, bottom as shares of the picture, class, score); samples (frame, boxes).

    The student is a module that gives the maps of ams.detection.student.centre_loss. phi is
    HardBoxLoss, the score SlidingPrecision. Keeps no changing state: methods may be called from
    any threads.
    """

    label_text = "boxes, float32 [n, 6]"
    name = "detection"  #: for logs and reports
    mean = IMAGENET_MEAN
    standard_deviation = IMAGENET_STANDARD_DEVIATION

    def __init__(
        self,
        classes: Sequence[str],
        *,
        input_size: tuple[int, int] | None = None,
        min_score: float = 0.05,
        shown_score: float = 0.3,
    ) -> None:
        """classes: their names, by id. input_size: (height, width) of what the student sees; None:
        frames as they come. min_score: of the boxes in predictions. shown_score: boxes below are
        neither drawn nor compared when the device looks for scene changes. Scores in [0, 1]. Raises
        ams.InvalidArgumentError."""
        super().__init__()
        if not classes or isinstance(classes, str):
            raise ams.InvalidArgumentError(
                f"classes is {classes!r}; allowed is a list of names, one or more"
            )
        for name, value in (("min_score", min_score), ("shown_score", shown_score)):
            if not 0 <= value <= 1:
                raise ams.InvalidArgumentError(f"{name} is {value}; allowed is 0 to 1")
        self.classes = list(classes)
        self.input_size = input_size
        self.min_score = min_score
        self.shown_score = shown_score

    # ---- labels ----

    def check_label(self, label: Any, frame: Any = None) -> np.ndarray:
        """What a teacher gave, as it is kept. Raises ams.InvalidArgumentError as check_boxes()."""
        boxes = np.ascontiguousarray(np.asarray(label, np.float32))
        if boxes.size == 0:
            boxes = boxes.reshape(0, 6)
        check_boxes(boxes, len(self.classes))
        return boxes

    def sample(self, frame: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The frame in the student's size, and its boxes."""
        return self._resized(frame), self.check_label(label)

    def pack_label(self, label: np.ndarray) -> bytes:
        """As ams.detection.pack_boxes()."""
        return pack_boxes(label)

    def unpack_label(self, data: bytes) -> np.ndarray:
        """What pack_label() wrote. Raises ams.MalformedDataError."""
        return unpack_boxes(data, len(self.classes))

    def phi(self, previous: tuple[Any, np.ndarray], current: tuple[Any, np.ndarray]) -> float:
        """HardBoxLoss of two consecutive samples' boxes."""
        return _loss(current[1], previous[1])

    # ---- training ----

    def collate(self, samples: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[Any, Any]:
        """(inputs, sets of boxes) of samples."""
        return self.inputs([frame for frame, _ in samples]), [boxes for _, boxes in samples]

    def loss(self, outputs: torch.Tensor, labels: Sequence[np.ndarray]) -> torch.Tensor:
        """ams.detection.student.centre_loss: a scalar tensor."""
        from .centre_head import centre_loss

        return centre_loss(outputs, labels, len(self.classes))

    # ---- both ends ----

    def inputs(self, frames: Sequence[np.ndarray]) -> torch.Tensor:
        """float32 [N, 3, H, W] of frames: in the student's size, normalised."""
        import torch

        pixels = torch.from_numpy(np.stack([self._resized(frame) for frame in frames]))
        mean = torch.tensor(self.mean) * 255
        deviation = torch.tensor(self.standard_deviation) * 255
        return ((pixels - mean) / deviation).permute(0, 3, 1, 2)

    def predict(self, outputs: torch.Tensor) -> list[np.ndarray]:
        """The boxes that a network's outputs say, one set for each picture."""
        from .centre_head import centre_maps

        maps = centre_maps(outputs.detach(), len(self.classes)).float().cpu().contiguous().numpy()
        return [decode_centre_maps(each, min_score=self.min_score) for each in maps]

    def difference(self, previous: np.ndarray, current: np.ndarray) -> float:
        """box_disagreement() of two predictions' boxes that are shown."""
        return box_disagreement(self._shown(previous), self._shown(current))

    def score(self) -> PrecisionScore:
        """A new PrecisionScore."""
        return PrecisionScore(len(self.classes))

    def draw(self, frame: np.ndarray, label: np.ndarray) -> np.ndarray:
        """The frame with the boxes that are shown, as ams.detection.draw_boxes()."""
        return draw_boxes(frame, label, self.classes, min_score=self.shown_score)

    def _shown(self, boxes: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(boxes[boxes[:, 5] >= self.shown_score])

    def _resized(self, frame: np.ndarray) -> np.ndarray:
        if self.input_size is None or frame.shape[:2] == tuple(self.input_size):
            return frame
        height, width = self.input_size
        return resize_frame(np.ascontiguousarray(frame), width=width, height=height)


class PrecisionScore:
    """SlidingPrecision as DetectionTask.score() gives it. Not thread-safe."""

    def __init__(self, class_count: int) -> None:
        self._precision = SlidingPrecision(class_count)

    def add(
        self, prediction: np.ndarray, label: np.ndarray, capture_seconds: float
    ) -> float | None:
        """Gives AP50 of the last 10 seconds."""
        return self._precision.add(prediction, label, capture_seconds).ap50

    def summary(self) -> list[tuple[str, float | None]]:
        """The means over frames: ap50, then ap50_95."""
        summary = self._precision.summary()
        return [("ap50", summary.ap50), ("ap50_95", summary.ap50_95)]
