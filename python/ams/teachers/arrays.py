"""Teachers that take and give named arrays: what ONNX files and inference servers share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._core import resize_frame
from ..detection import boxes_from_pixels
from ..errors import InvalidArgumentError
from .batches import BatchTeacher
from .class_map import ClassMap

_MAX_LOGITS = 1 << 25  # at full size at once

Decode = Callable[[Mapping[str, np.ndarray], np.ndarray], Sequence[Any]]


@dataclass(frozen=True)
class ArrayInput:
    """What a network says of its one input. None: an extent that it leaves open."""

    name: str
    shape: tuple[int | None, ...]
    dtype: np.dtype[Any]


class ArrayTeacher(BatchTeacher):
    """Derived classes say what the input is, and run the network."""

    def __init__(
        self,
        array_input: ArrayInput,
        *,
        who: str,
        classes: ClassMap | Sequence[str] | None,
        input_size: tuple[int, int] | None,
        mean: Sequence[float],
        standard_deviation: Sequence[float],
        decode: Decode | None,
        min_score: float,
        batch_size: int,
    ) -> None:
        shape = array_input.shape
        if len(shape) != 4 or 3 not in (shape[1], shape[3]):
            raise InvalidArgumentError(
                f"{who} takes '{array_input.name}' of {list(shape)}; allowed are pictures, "
                "[N, 3, H, W] or [N, H, W, 3]"
            )
        if array_input.dtype not in (np.uint8, np.float16, np.float32):
            raise InvalidArgumentError(
                f"{who} takes '{array_input.name}' as {array_input.dtype}; allowed are uint8, "
                "float16 and float32"
            )
        if len(mean) != 3 or len(standard_deviation) != 3 or not all(standard_deviation):
            raise InvalidArgumentError(
                f"mean is {mean!r} and standard_deviation {standard_deviation!r}; needed are three "
                "numbers each, deviations other than 0"
            )
        self._input = array_input
        self._channels_first = shape[1] == 3
        height, width = shape[2:] if self._channels_first else shape[1:3]
        wanted = input_size or (None, None)
        for own, given in zip((height, width), wanted, strict=True):
            if None not in (own, given) and own != given:
                raise InvalidArgumentError(
                    f"{who} takes pictures of {height} x {width} alone; input_size is {input_size}"
                )
        self._size = (height or wanted[0], width or wanted[1])
        self._mean = np.asarray(mean, np.float32)
        self._deviation = np.asarray(standard_deviation, np.float32)
        self._decode = decode
        self._who = who
        super().__init__(
            classes=classes, source=None, batch_size=shape[0] or batch_size, min_score=min_score
        )

    @abstractmethod
    def _run(self, pictures: np.ndarray) -> Mapping[str, np.ndarray]:
        """Outputs by name for the input, of its type and layout."""

    def _label(self, frames: np.ndarray) -> Sequence[Any]:
        outputs = self._run(self._pictures(frames))
        if self._decode is not None:
            labels = self._decode(outputs, frames)
        else:
            labels = self._labels_of(outputs, frames)
        if len(labels) < len(frames):
            raise InvalidArgumentError(
                f"{self._who} gave {len(labels)} labels of {len(frames)} frames"
            )
        return labels[: len(frames)]  # what filled up a batch has labels too

    def _pictures(self, frames: np.ndarray) -> np.ndarray:
        height, width = (
            own or given for own, given in zip(self._size, frames.shape[1:3], strict=True)
        )
        if frames.shape[1:3] != (height, width):
            frames = np.stack([resize_frame(f, width=width, height=height) for f in frames])
        missing = (self._input.shape[0] or len(frames)) - len(frames)
        if missing:
            frames = np.concatenate([frames, np.repeat(frames[-1:], missing, axis=0)])
        if self._input.dtype == np.uint8:
            pictures = frames
        else:
            pictures = (frames / np.float32(255) - self._mean) / self._deviation
        if self._channels_first:
            pictures = pictures.transpose(0, 3, 1, 2)
        return np.ascontiguousarray(pictures, dtype=self._input.dtype)

    def _labels_of(self, outputs: Mapping[str, np.ndarray], frames: np.ndarray) -> list[np.ndarray]:
        size = frames.shape[1:3]
        named = {role: _find(outputs, words) for role, words in _ROLES.items()}
        if all(array is not None for array in named.values()):
            return _all_boxes(named, (self._size[0] or size[0], self._size[1] or size[1]))
        for array in outputs.values():
            if array.ndim == 4 and array.shape[1] > 1 and array.dtype.kind == "f":
                return [class_ids(each, size) for each in array]
            if array.ndim == 4 and array.shape[1] == 1:
                array = array[:, 0]
            if array.ndim == 3 and array.dtype.kind in "iu":
                return [resized_ids(each, size) for each in array]
        found = ", ".join(f"'{k}' {v.dtype} {list(v.shape)}" for k, v in outputs.items())
        raise InvalidArgumentError(
            f"{self._who} gives {found or 'nothing'}; known are logits [N, classes, h, w], class "
            "ids [N, h, w], and boxes with labels and scores; for others pass decode="
        )


_ROLES = {"boxes": ("box",), "labels": ("label", "class"), "scores": ("score", "conf")}


def _find(outputs: Mapping[str, np.ndarray], words: Sequence[str]) -> np.ndarray | None:
    found = [array for name, array in outputs.items() if any(w in name.lower() for w in words)]
    return found[0] if len(found) == 1 else None


def _all_boxes(named: Mapping[str, Any], size: tuple[int, int]) -> list[np.ndarray]:
    """Of [N, K, 4], [N, K] and [N, K], or without N for one picture, of size (height, width)."""
    boxes, labels, scores = named["boxes"], named["labels"], named["scores"]
    if boxes.ndim == 2:
        boxes, labels, scores = boxes[None], labels[None], scores[None]
    if boxes.shape[2:] != (4,) or not boxes.shape[:2] == labels.shape == scores.shape:
        raise InvalidArgumentError(
            f"the teacher gave boxes {list(boxes.shape)}, labels {list(labels.shape)} and scores "
            f"{list(scores.shape)}; needed are [N, K, 4], [N, K] and [N, K]"
        )
    return [
        boxes_from_pixels(*of_one, width=size[1], height=size[0])
        for of_one in zip(boxes, labels, scores, strict=True)
    ]


def resized_ids(ids: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Class ids [h, w] at another size, by nearest neighbour."""
    rows, columns = (
        (np.arange(n) * 2 + 1) * own // (2 * n) for n, own in zip(size, ids.shape, strict=True)
    )
    return ids[rows[:, None], columns]


def class_ids(logits: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Logits [C, h, w], resized bilinearly, to the class with the largest of each pixel, int64
    [height, width]."""
    logits = logits.astype(np.float32, copy=False)
    if logits.shape[1:] == size:
        return logits.argmax(0)
    (top, bottom, v), (left, right, u) = (
        _neighbours(own, wanted) for own, wanted in zip(logits.shape[1:], size, strict=True)
    )
    labels = np.empty(size, np.int64)
    rows = max(1, _MAX_LOGITS // (len(logits) * size[1]))
    for begin in range(0, size[0], rows):
        part = slice(begin, begin + rows)
        weight = v[part, None]
        between = logits[:, top[part]] * (1 - weight) + logits[:, bottom[part]] * weight
        labels[part] = (between[:, :, left] * (1 - u) + between[:, :, right] * u).argmax(0)
    return labels


def _neighbours(own: int, wanted: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each new pixel, the two old ones about its centre, and the weight of the second."""
    place = np.clip((np.arange(wanted) + 0.5) * own / wanted - 0.5, 0, own - 1)
    first = place.astype(np.int64)
    return first, np.minimum(first + 1, own - 1), (place - first).astype(np.float32)
