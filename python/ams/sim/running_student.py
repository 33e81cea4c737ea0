"""The student on the device, and how it is scored."""

from __future__ import annotations

import numpy as np

from ams.sim.result import Scorer
from ams.sim.setting import Setting
from ams.sim.stream import Stream


class RunningStudent:
    """The student on the device: runs the values published last, and scores them on labelled
    frames.

    Values are loaded when they are first needed. Not thread-safe.
    """

    def __init__(self, stream: Stream, setting: Setting) -> None:
        from ams.torch import NetworkPredictor

        self._predictor = NetworkPredictor(setting.student)
        self._next_values: np.ndarray | None = None
        self.scorer = make_scorer(stream, setting)

    def publish(self, values: np.ndarray) -> None:
        """values: float32 [dimension], kept as they are."""
        self._next_values = values

    def predict(self, image: np.ndarray) -> np.ndarray:
        """uint8 [H, W, 3] to class ids, uint8, at the student's input size."""
        if self._next_values is not None:
            self._predictor.load(self._next_values)
            self._next_values = None
        return self._predictor.predict(image)

    def score(self, image: np.ndarray, labels: np.ndarray, capture_seconds: float) -> None:
        """Predicts and counts."""
        self.count(self.predict(image), labels, capture_seconds)

    def count(self, prediction: np.ndarray, labels: np.ndarray, capture_seconds: float) -> None:
        """Scores what predict() gave."""
        self.scorer.add(prediction, labels, capture_seconds)


def make_scorer(stream: Stream, setting: Setting) -> Scorer:
    return Scorer(
        stream.classes,
        window_seconds=setting.window_seconds,
        start_up_seconds=setting.start_up_seconds,
    )
