"""What work costs in virtual time."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Seconds that the steps of a scheme take in virtual time. A plain value.

    By default all are modelled, so that results do not depend on the machine that runs the
    simulation. With measured=True, training and encoding take as long as they took here; the rest
    stays modelled.

    teacher_seconds: labelling one frame (200 to 300 ms in the paper, section 4.1).
    iteration_seconds, iteration_sample_seconds: one training step takes the first, and the second
        for each sample of its mini-batch. The defaults give 50 ms for a batch of 8; the paper
        prints none.
    trial_sample_seconds: one forward pass over one sample, where a phase tries several states.
    encode_seconds: compressing a buffer of samples at most (1 s in the paper, section 3.2);
    encode_sample_seconds: for each of its frames.
    encode_frame_seconds: compressing one frame as a picture.
    publish_seconds: loading an update into the inactive model and swapping.
    Tracking by optical flow costs nothing, as the paper assumes in its favour.
    """

    teacher_seconds: float = 0.25
    iteration_seconds: float = 0.01
    iteration_sample_seconds: float = 0.005
    trial_sample_seconds: float = 0.0015
    encode_seconds: float = 1.0
    encode_sample_seconds: float = 0.1
    encode_frame_seconds: float = 0.01
    publish_seconds: float = 0.02
    measured: bool = False

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if name != "measured" and not (value >= 0 and math.isfinite(value)):
                raise ValueError(f"Costs: {name} is {value}; it must be finite and >= 0")

    def training_seconds(
        self, iterations: int, batch_size: int, measured_seconds: float, trial_samples: int = 0
    ) -> float:
        """Of so many steps with so many samples each, after as many forward passes of a trial;
        measured_seconds is what all that took here."""
        if self.measured:
            return measured_seconds
        steps = iterations * (self.iteration_seconds + batch_size * self.iteration_sample_seconds)
        return steps + trial_samples * self.trial_sample_seconds

    def encoding_seconds(self, frames: int, measured_seconds: float) -> float:
        """Of one buffer of so many samples."""
        if self.measured:
            return measured_seconds
        return min(self.encode_seconds, frames * self.encode_sample_seconds)
