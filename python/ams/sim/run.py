"""Runs a scheme on a stream in virtual time."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from ams.sim.costs import Costs
from ams.sim.link import Link
from ams.sim.result import RunResult, Scorer
from ams.sim.stream import Stream

if TYPE_CHECKING:
    from ams.sim.schemes.scheme import Scheme
    from ams.torch import StudentSpec


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a run has besides its stream and its scheme. A plain value.

    student: network, weights and input size; its selected_classes are replaced by the stream's.
    link, costs: what messages and work cost in virtual time.
    seed: the one seed of everything random.
    device: where training computes: "cpu", "cuda", "cuda:1".
    window_seconds: of the mIoU. start_up_seconds: scores before this time are left out (the paper:
        250).
    """

    student: StudentSpec
    link: Link = field(default_factory=Link)
    costs: Costs = field(default_factory=Costs)
    seed: int = 1
    device: str = "cpu"
    window_seconds: float = 10
    start_up_seconds: float = 0


def run(stream: Stream, scheme: Scheme, setting: Setting) -> RunResult:
    """One scheme on one stream, scored on every labelled frame by what the device shows at that
    time.

    The student is run on the labelled frames only: on the others its output would be seen by nobody
    and nothing depends on it. Equal arguments give equal results on one machine with one number of
    compute threads, on the CPU: torch's CUDA kernels for upsampling add in any order. Raises
    ValueError and ams.Error for arguments that do not fit.
    """
    return scheme.run(stream, select_classes(setting, stream))


def select_classes(setting: Setting, stream: Stream) -> Setting:
    """The setting with the stream's classes selected in its student."""
    from ams.torch import StudentSpec

    old = setting.student
    if stream.classes[-1] >= old.num_classes:
        raise ValueError(
            f"the stream's classes are {stream.classes}, the student has {old.num_classes}"
        )
    spec = StudentSpec(
        network=old.network,
        weights=old.weights,
        num_classes=old.num_classes,
        input_width=old.input_width,
        input_height=old.input_height,
        selected_classes=list(stream.classes),
        mean=old.mean,
        standard_deviation=old.standard_deviation,
        train_batch_norm_statistics=old.train_batch_norm_statistics,
        normalization=old.normalization,
        head=old.head,
        seed=old.seed,
    )
    return replace(setting, student=spec)


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
        self.scorer.add(self.predict(image), labels, capture_seconds)


def make_scorer(stream: Stream, setting: Setting) -> Scorer:
    return Scorer(
        stream.classes,
        window_seconds=setting.window_seconds,
        start_up_seconds=setting.start_up_seconds,
    )
