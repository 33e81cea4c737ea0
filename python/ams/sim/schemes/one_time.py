"""The whole model, adapted once."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

import ams
from ams.sim.codec import Codec, X264Codec
from ams.sim.result import RunResult
from ams.sim.schemes.adapted import run_session
from ams.sim.setting import Setting
from ams.sim.stream import Stream


@dataclass(frozen=True, kw_only=True)
class OneTime:
    """Trains all parameters on the first minute and sends them once (section 4.1).

    first_seconds: 60 in the paper; never more than a third of the stream, so that short clips have
    something left to be judged on. Samples at 1 fps, compressed as one buffer as AMS does.
    learning_rates_by_size: as ams.FixedPolicy.
    iterations: in all. The default, 120, is what AMS makes in a minute (K = 20 every 10 s).
    """

    name: ClassVar[str] = "one_time"
    first_seconds: float = 60
    learning_rate: float = 1e-3
    learning_rates_by_size: bool = True
    iterations: int = 120
    batch_size: int = 8
    profile: str = "reference"
    codec: Codec = field(default_factory=X264Codec)

    def __post_init__(self) -> None:
        """Raises ValueError, and ams.InvalidArgumentError, which names the field and what it may
        be."""
        if not self.first_seconds > 0:
            raise ValueError(f"OneTime: first_seconds is {self.first_seconds}; it must be > 0")
        self.make_policy()

    def run(self, stream: Stream, setting: Setting) -> RunResult:
        first_seconds = min(self.first_seconds, stream.duration_seconds / 3)
        result = run_session(
            stream,
            setting,
            name=self.name,
            make_policy=lambda: self.make_policy(stream.duration_seconds),
            client_options={"first_batch_seconds": first_seconds, "scene_change_seconds": 0},
            codec=self.codec,
            last_sample_seconds=first_seconds,
        )
        result.details["first_seconds"] = first_seconds
        return result

    def make_policy(self, stream_seconds: float = 0.0) -> ams.FixedPolicy:
        """Of one session. The first batch is the last: nothing comes after it within the stream."""
        return ams.FixedPolicy(
            strategy="full",
            learning_rate=self.learning_rate,
            learning_rates_by_size=self.learning_rates_by_size,
            iterations=self.iterations,
            batch_size=self.batch_size,
            min_samples=1,
            buffer_samples=4096,
            adapt_sampling_rate=False,
            profile=self.profile,
            relative_step=1,
            update_interval_seconds=min(3600.0, math.ceil(stream_seconds) + 1.0),
        )
