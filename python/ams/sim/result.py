"""What a run of a scheme gives, and how its accuracy is measured."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from ams import ConfusionMatrix, SlidingMiou
from ams.sim.resize import resize_nearest


@dataclass
class RunResult:
    """One scheme on one stream. mIoU in percent; Kbps are 1000 bits per second of the stream.

    miou: the paper's: mean over frames of the mIoU of the last 10 s. miou_whole_video: of all
        counts together.
    uplink_bytes, downlink_bytes: every byte on the device's socket, both ways (docs/protocol.md).
    updates, update_bytes_mean: model updates (or label maps) that were sent, and their mean
        payload.
    seconds: length of the stream.
    frames: [time in seconds, mIoU of the last 10 s, mIoU of the frame alone] of every scored frame;
        None where no pixel counts.
    sampling_rates, update_intervals: [time, fps] and [time, T_update in seconds] whenever they
        changed.
    versions: [time, model version] when the device began to run it.
    phi_scores: [time, phi] of consecutive samples, at the time when the server had their labels.
    digests_equal: whether server and device held the same model, bit for bit, at the end; None
        without one.
    details: what else a scheme has to say, by name.
    """

    scheme: str
    clip: str
    seed: int
    miou: float
    miou_whole_video: float
    seconds: float
    uplink_bytes: int = 0
    downlink_bytes: int = 0
    updates: int = 0
    update_bytes_mean: float = 0.0
    frames: list[list[float | None]] = field(default_factory=list)
    sampling_rates: list[list[float]] = field(default_factory=list)
    update_intervals: list[list[float]] = field(default_factory=list)
    versions: list[list[float]] = field(default_factory=list)
    phi_scores: list[list[float]] = field(default_factory=list)
    digests_equal: bool | None = None
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def uplink_kbps(self) -> float:
        return self.uplink_bytes * 8 / 1000 / self.seconds

    @property
    def downlink_kbps(self) -> float:
        return self.downlink_bytes * 8 / 1000 / self.seconds

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @staticmethod
    def from_dict(values: dict[str, Any]) -> RunResult:
        """From the object that to_json wrote."""
        return RunResult(**values)


class Scorer:
    """Scores predictions against labels at the predictions' size. Not thread-safe."""

    def __init__(
        self, classes: tuple[int, ...], *, window_seconds: float, start_up_seconds: float
    ) -> None:
        """Frames before start_up_seconds count in the windows of later frames and nowhere else."""
        self._classes = list(classes)
        self._start_up_seconds = start_up_seconds
        self._miou = SlidingMiou(
            self._classes, window_seconds=window_seconds, start_up_seconds=start_up_seconds
        )
        self.frames: list[list[float | None]] = []

    def add(self, prediction: np.ndarray, labels: np.ndarray, capture_seconds: float) -> None:
        """prediction: uint8 [H, W]; labels: uint8 [h, w], brought to that size by nearest
        neighbour."""
        truth = resize_nearest(labels, prediction.shape[1], prediction.shape[0])
        sliding = self._miou.add(prediction, truth, capture_seconds)
        if capture_seconds < self._start_up_seconds:
            return
        own = ConfusionMatrix(self._classes)
        own.add(prediction, truth)
        self.frames.append([capture_seconds, _percent(sliding), _percent(own.mean_iou())])

    def summary(self) -> tuple[float, float]:
        """miou and miou_whole_video, percent. Raises ValueError when no frame had a pixel that
        counts."""
        summary = self._miou.summary()
        if summary.sliding is None or summary.whole_video is None:
            raise ValueError(
                "no scored frame has a pixel of the classes that count; is the stream longer than "
                f"start_up_seconds ({self._start_up_seconds:g} s)?"
            )
        return 100 * summary.sliding, 100 * summary.whole_video


def _percent(value: float | None) -> float | None:
    return None if value is None else 100 * value
