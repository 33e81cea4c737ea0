"""What all teachers do with their frames and labels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import InvalidArgumentError
from .class_map import IGNORED, ClassMap, class_map


class BatchTeacher(ABC):
    """A callable that labels frames a batch at a time. Derived classes say how."""

    def __init__(
        self,
        *,
        classes: ClassMap | Sequence[str] | None,
        source: Sequence[str] | None,
        batch_size: int,
        min_score: float,
    ) -> None:
        """source: names of the teacher's classes, where they are known."""
        if batch_size < 1:
            raise InvalidArgumentError(f"batch_size is {batch_size}; allowed are 1 and more")
        if not 0 <= min_score <= 1:
            raise InvalidArgumentError(f"min_score is {min_score}; allowed are 0 to 1")
        if classes is not None and not isinstance(classes, ClassMap):
            if source is None:
                raise InvalidArgumentError(
                    "the teacher does not tell the names of its classes: pass "
                    "classes=ams.teachers.class_map(source, target)"
                )
            classes = class_map(source, classes)
        self._classes = classes
        self._source = tuple(source) if source else None
        self._batch_size = batch_size
        self._min_score = min_score

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Names of the classes of the labels, by id; None: they are not known."""
        return self._classes.target if self._classes else self._source

    def __call__(self, frames: np.ndarray) -> Any:
        """Labels of frames, uint8 [N, H, W, 3] RGB; of one frame, uint8 [H, W, 3], its label.

        Segmentation gives uint8 [N, H, W], 255 where nothing shall be learned; detection a list of
        N sets of boxes, float32 [n, 6] as ams.detection has them. Raises ams.InvalidArgumentError
        for other frames.
        """
        frames = np.asarray(frames)
        if frames.dtype != np.uint8 or frames.ndim not in (3, 4) or frames.shape[-1] != 3:
            raise InvalidArgumentError(
                f"frames are {frames.dtype} {list(frames.shape)}; needed are uint8 [N, H, W, 3]"
            )
        if frames.size == 0:
            raise InvalidArgumentError(f"frames are {list(frames.shape)}: there is nothing to see")
        if frames.ndim == 3:
            return self(frames[None])[0]
        labels: list[Any] = []
        for begin in range(0, len(frames), self._batch_size):
            batch = np.array(frames[begin : begin + self._batch_size])  # one that may be written
            labels.extend(self._own_classes(label) for label in self._label(batch))
        if len(labels) != len(frames):
            raise InvalidArgumentError(
                f"the teacher gave {len(labels)} labels of {len(frames)} frames"
            )
        return np.stack(labels) if labels[0].dtype == np.uint8 else labels

    @abstractmethod
    def _label(self, frames: np.ndarray) -> Sequence[np.ndarray]:
        """Of at most batch_size frames, with the teacher's classes: integers [H, W], or boxes as
        floats [n, 6]."""

    def _own_classes(self, label: np.ndarray) -> np.ndarray:
        label = np.asarray(label)
        if label.dtype.kind != "f":
            return self._own_ids(label)
        if label.ndim != 2 or label.shape[1] != 6:
            raise InvalidArgumentError(
                f"the teacher gave a label {label.dtype} {list(label.shape)}; allowed are integers "
                "[H, W], and boxes [n, 6]"
            )
        boxes = label[label[:, 5] >= self._min_score].astype(np.float32)
        ids = self._own_ids(boxes[:, 4].astype(np.int64))
        boxes[:, 4] = ids
        return boxes[ids != IGNORED]

    def _own_ids(self, ids: np.ndarray) -> np.ndarray:
        if self._classes is not None:
            return self._classes(ids)
        if ids.size and (ids.min() < 0 or ids.max() > IGNORED):
            raise InvalidArgumentError(
                f"the teacher gave classes from {ids.min()} to {ids.max()}; allowed are 0 to "
                f"{IGNORED}: choose some with classes=ams.teachers.class_map(source, target)"
            )
        return ids.astype(np.uint8)
