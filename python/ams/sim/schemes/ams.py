"""Adaptive Model Streaming."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import ams
from ams.sim.accelerator import Accelerator
from ams.sim.clock import Clock
from ams.sim.codec import Codec, X264Codec
from ams.sim.result import RunResult
from ams.sim.schemes.adapted import run_session
from ams.sim.setting import Setting
from ams.sim.stream import Stream

PACE = (
    "iterations",
    "batch_size",
    "update_interval_seconds",
    "horizon_seconds",
    "min_samples",
    "least_spacing",
    "recency_seconds",
    "trainer_share",
    "start_states",
    "adapt_sampling_rate",
    "adapt_training_rate",
)
"""What ams.FixedPolicy and ams.BudgetPolicy both have."""


@dataclass(frozen=True, kw_only=True)
class AMS:
    """Algorithms 1 and 2 with the paper's settings (section 4.1), except that a mini-batch has 8
    samples for its code's 10 and that it begins after 5 s for its about 100 s: clips are short.

    The teacher's labels of a sample are those of the clip's label file that are nearest in time.
    strategy: as ams.selection_strategy_names() says; gamma: the fraction that an update carries.
    weight_multiplier, normalization_multiplier, head_multiplier: of the learning rate;
        ams.recommended_multipliers() gives them. With a budget they are times the policy's own.
    learning_rates_by_size: as ams.FixedPolicy; not as in the paper, whose weights all learn
        equally fast.
    profile: 'reference' or 'compact'; relative_step, weight_step_multiplier: of 'compact'.
    downlink_budget_bps: what the downlink may carry; strategy, gamma, profile and steps are then
        the policy's own choice. downlink_link_bps: what the link takes; 0: four times that.
    horizon_seconds: T_horizon; max_buffer_samples: mini-batches are drawn from no more than so many
        of its newest samples.
    first_batch_seconds: the first samples leave so long after the stream's beginning; min_samples:
        the first phase waits for so many.
    least_spacing, recency_seconds, trainer_share, start_states: as ams.FixedPolicy, scene_change_seconds: as
        ams.ClientOptions, class_balance: as ams.torch.SegmentationTrainer; the paper has none of
        them.
    adapt_training_rate: longer T_update for slow scenes (appendix D).
    policy: makes the session's policy in place of all that a policy decides above.
    prepare: may give the accelerator other work before the stream begins (load.py).
    """

    name: ClassVar[str] = "ams"
    strategy: str = "gradient_guided"
    gamma: float = 0.05
    learning_rate: float = 1e-3
    weight_multiplier: float = 1
    normalization_multiplier: float = 1
    head_multiplier: float = 1
    learning_rates_by_size: bool = True
    iterations: int = 20
    batch_size: int = 8
    update_interval_seconds: float = 10
    horizon_seconds: float = 240
    max_buffer_samples: int = 4096
    first_batch_seconds: float = 5
    min_samples: int = 4
    least_spacing: float = 1
    recency_seconds: float = 0
    trainer_share: float = 0
    start_states: int = 0
    adapt_sampling_rate: bool = True
    adapt_training_rate: bool = False
    scene_change_seconds: float = 0
    class_balance: float = 0
    profile: str = "reference"
    relative_step: float = 1
    weight_step_multiplier: float = 1
    downlink_budget_bps: float | None = None
    downlink_link_bps: float = 0
    codec: Codec = field(default_factory=X264Codec)
    policy: Callable[[], ams.UpdatePolicy] | None = None
    prepare: Callable[[Clock, Accelerator], None] | None = None

    def __post_init__(self) -> None:
        """Raises ams.InvalidArgumentError, which names the field and what it may be."""
        self.make_policy()
        ams.SessionOptions(**self.session_options())
        ams.ClientOptions(**self.client_options())

    def run(self, stream: Stream, setting: Setting) -> RunResult:
        return run_session(
            stream,
            setting,
            name=self.name,
            make_policy=self.make_policy,
            session_options=self.session_options(),
            client_options=self.client_options(),
            codec=self.codec,
            class_balance=self.class_balance,
            prepare=self.prepare,
        )

    def session_options(self) -> dict[str, object]:
        """Keyword arguments of ams.SessionOptions."""
        return {"max_buffer_samples": self.max_buffer_samples}

    def client_options(self) -> dict[str, float]:
        """Keyword arguments of ams.ClientOptions."""
        return {
            "first_batch_seconds": self.first_batch_seconds,
            "scene_change_seconds": self.scene_change_seconds,
        }

    def make_policy(self) -> ams.UpdatePolicy:
        """Of one session."""
        if self.policy is not None:
            return self.policy()
        options = {
            **self.pace(),
            "learning_rate": self.learning_rate,
            "weight_multiplier": self.weight_multiplier,
            "normalization_multiplier": self.normalization_multiplier,
            "head_multiplier": self.head_multiplier,
            "learning_rates_by_size": self.learning_rates_by_size,
        }
        if self.downlink_budget_bps is not None:
            return ams.BudgetPolicy(
                budget_bps=self.downlink_budget_bps, link_bps=self.downlink_link_bps, **options
            )
        if self.downlink_link_bps:
            raise ams.InvalidArgumentError("downlink_link_bps needs downlink_budget_bps")
        return ams.FixedPolicy(
            strategy=self.strategy,
            gamma=self.gamma,
            profile=self.profile,
            relative_step=self.relative_step,
            weight_step_multiplier=self.weight_step_multiplier,
            **options,
        )

    def pace(self) -> dict[str, object]:
        """Keyword arguments of ams.FixedPolicy and ams.BudgetPolicy."""
        return {name: getattr(self, name) for name in PACE}


def own_pace() -> dict[str, Any]:
    """What libams does in place of the paper's settings, as keyword arguments of AMS."""
    policy = ams.FixedPolicy()
    return {
        **{name: getattr(policy, name) for name in PACE},
        "first_batch_seconds": ams.ClientOptions().first_batch_seconds,
        "scene_change_seconds": ams.ClientOptions().scene_change_seconds,
        "max_buffer_samples": 60,
        "class_balance": 0.25,
        "relative_step": 2.0,
    }
