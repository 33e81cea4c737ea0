"""What a device sees: one or several labelled clips, one after another."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from ams.sim.resize import resize_nearest

if TYPE_CHECKING:
    from ams import video

# Size that frames are brought to where clips of different sizes follow each other: the paper's
# uplink.
COMMON_WIDTH, COMMON_HEIGHT = 1024, 512


@dataclass(frozen=True)
class StreamFrame:
    """One frame. image: uint8 [H, W, 3] RGB; labels: uint8 [h, w] class ids of frames that the clip
    has labels for, else None."""

    capture_seconds: float
    image: np.ndarray
    labels: np.ndarray | None


class Stream:
    """Clips as one video on one timeline, which begins at 0.

    `classes` are the ids that count: the union of the clips' eval_classes, ascending. A clip's
    labelled frames are those that its label file has labels for (every label_stride-th); schemes
    are scored on them and on no others. Frames and labels of clips of different sizes are brought
    to a common one. Not thread-safe.
    """

    def __init__(
        self,
        clips: Sequence[Path | str] | Path | str,
        *,
        max_seconds: float = math.inf,
        progress: bool = False,
    ) -> None:
        """clips: folders with video.mp4, labels.mkv and clip.json; one or several. max_seconds: the
        stream ends there at the latest. progress: whoever plays it sees a bar of its seconds.
        Raises ValueError, and what `ams.video.Clip` raises."""
        if isinstance(clips, (str, Path)):
            clips = [clips]
        if not clips:
            raise ValueError("Stream: clips is empty; give at least one clip folder")
        if not max_seconds > 0:
            raise ValueError(f"Stream: max_seconds is {max_seconds}; it must be > 0")
        from ams import video

        self._progress = progress
        self._clips = [video.Clip(clip) for clip in clips]
        infos = [clip.info for clip in self._clips]
        if len({info.ignore_id for info in infos}) > 1:
            raise ValueError("Stream: the clips have different values of ignore_id")
        for info in infos[1:]:
            for number, (first, other) in enumerate(
                zip(infos[0].classes, info.classes, strict=False)
            ):
                if first != other:
                    raise ValueError(
                        f"Stream: class {number} is '{first}' in {infos[0].name} and '{other}' "
                        f"in {info.name}; ids must mean the same in all clips"
                    )
        self._readers: list[video.LabelTrackReader | None] = [None] * len(self._clips)
        self.name = "+".join(info.name for info in infos)
        self.classes = tuple(sorted({int(c) for info in infos for c in info.eval_classes}))
        self.class_count = max(len(info.classes) for info in infos)
        """Of all ids, whether they count or not."""
        self.ignore_id = int(infos[0].ignore_id)

        self._begins = [0.0]
        for clip in self._clips:
            self._begins.append(self._begins[-1] + _frame_count(clip) / clip.info.fps)
        self.duration_seconds = min(self._begins[-1], max_seconds)
        """Length of the stream in seconds."""
        self._frame_size = _common(
            [(i.width, i.height) for i in infos], (COMMON_WIDTH, COMMON_HEIGHT)
        )
        self._label_size = _common(
            [(i.label_width, i.label_height) for i in infos],
            (COMMON_WIDTH // 2, COMMON_HEIGHT // 2),
        )

    @property
    def scenes(self) -> list[tuple[float, str]]:
        """When each clip begins, and its name."""
        pairs = zip(self._begins, self._clips, strict=False)
        return [(begin, clip.info.name) for begin, clip in pairs if begin < self.duration_seconds]

    def frames(self) -> Iterator[StreamFrame]:
        """The frames in order."""
        total = round(self.duration_seconds)
        with tqdm(total=total, desc=self.name, unit="s", disable=not self._progress) as bar:
            for frame in self._frames():
                bar.update(int(frame.capture_seconds) - bar.n)
                yield frame
            bar.update(total - bar.n)

    def _frames(self) -> Iterator[StreamFrame]:
        for number, (begin, clip) in enumerate(zip(self._begins, self._clips, strict=False)):
            if begin >= self.duration_seconds:
                return
            info = clip.info
            reader = _open_video(clip, self._frame_size)
            for index in range(_frame_count(clip)):
                seconds = begin + index / info.fps
                if seconds >= self.duration_seconds:
                    return
                image = _next_image(reader)
                if image is None:
                    break
                label_index, rest = divmod(index, info.label_stride)
                is_labelled = rest == 0 and label_index < info.label_frames
                labels = self._labels(number, label_index) if is_labelled else None
                yield StreamFrame(seconds, image, labels)

    def times(self) -> Iterator[float]:
        """capture_seconds of all frames in order, without decoding any."""
        for begin, clip in zip(self._begins, self._clips, strict=False):
            for index in range(_frame_count(clip)):
                seconds = begin + index / clip.info.fps
                if seconds >= self.duration_seconds:
                    return
                yield seconds

    def labels_at(self, capture_seconds: float) -> np.ndarray:
        """The labels nearest in time, of the same clip: the teacher's answer for a frame of this
        time.

        uint8 [h, w]. Raises ValueError outside the stream.
        """
        if not 0 <= capture_seconds < self._begins[-1]:
            raise ValueError(
                f"Stream: no frame at {capture_seconds} s; it is {self._begins[-1]:.3f} s long"
            )
        # Times of frames are sums; a frame is never a millionth of a second away from its clip's
        # beginning.
        number = sum(begin <= capture_seconds + 1e-6 for begin in self._begins[1:-1])
        clip = self._clips[number]
        seconds = max(0.0, capture_seconds - self._begins[number])
        index = min(
            math.floor(seconds / (clip.info.label_stride / clip.info.fps) + 0.5),
            clip.info.label_frames - 1,
        )
        return self._labels(number, index)

    def _labels(self, number: int, index: int) -> np.ndarray:
        reader = self._readers[number]
        if reader is None:
            from ams import video

            path = self._clips[number].labels_path
            reader = self._readers[number] = video.LabelTrackReader(path)
        labels = reader[index]
        return resize_nearest(labels, *self._label_size) if self._label_size else labels


def _next_image(reader: video.VideoReader) -> np.ndarray | None:
    """The next picture; None at the end."""
    timed = reader.next()
    return None if timed is None else timed[1]


def _common(sizes: list[tuple[int, int]], otherwise: tuple[int, int]) -> tuple[int, int] | None:
    return None if len(set(sizes)) == 1 else otherwise


def _open_video(clip: video.Clip, size: tuple[int, int] | None) -> video.VideoReader:
    from ams import video

    if size is None:
        return video.VideoReader(clip.video_path)
    return video.VideoReader(clip.video_path, width=size[0], height=size[1])


def _frame_count(clip: video.Clip) -> int:
    """As clip.json says; where it does not, as many as the labels reach."""
    info = clip.info
    return (
        int(info.frames)
        if info.frames
        else (int(info.label_frames) - 1) * int(info.label_stride) + 1
    )
