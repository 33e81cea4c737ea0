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
    "buffer_samples",
    "min_samples",
    "least_spacing",
    "recency_seconds",
    "trainer_share",
    "start_states",
    "adapt_sampling_rate",
    "adapt_training_rate",
)
"""What all policies of the library have."""

_POLICY = ams.FixedPolicy()
_CLIENT = ams.ClientOptions()


@dataclass(frozen=True, kw_only=True)
class AMS:
    """A session as libams recommends it. `AMS(**paper_settings())` is the paper's.

    The teacher's labels of a sample are those of the clip's label file that are nearest in time.
    strategy: as ams.selection_strategy_names() says, None: normalisation layers and head, or the
        whole model where it has no such layers; gamma: the fraction that an update carries,
        as ams.FixedPolicy.
    weight_multiplier, normalization_multiplier, head_multiplier: of the learning rate; None: those
        of ams.recommended_multipliers(). With a budget they are times the policy's own.
    learning_rates_by_size: as ams.FixedPolicy; not as in the paper, whose weights all learn
        equally fast.
    profile: 'reference' or 'compact'; relative_step, weight_step_multiplier: of 'compact'.
    downlink_budget_bps: what the downlink may carry; strategy, gamma, profile and steps are then
        the policy's own choice. downlink_link_bps: what the link takes; 0: four times that.
    horizon_seconds: T_horizon; buffer_samples: mini-batches are drawn from no more than so many
        of its newest samples; 0: a minute of them.
    first_batch_seconds: the first samples leave so long after the stream's beginning; min_samples:
        the first phase waits for so many.
    least_spacing, recency_seconds, trainer_share, start_states: as ams.FixedPolicy,
        scene_change_seconds: as ams.ClientOptions, class_balance: as
        ams.torch.SegmentationTrainer; the paper has none of them.
    adapt_training_rate: longer T_update for slow scenes (appendix D).
    policy: makes the session's policy in place of all that a policy decides above.
    prepare: may give the accelerator other work before the stream begins (load.py).
    """

    name: ClassVar[str] = "ams"
    strategy: str | None = None
    gamma: float | None = None
    learning_rate: float = _POLICY.learning_rate
    weight_multiplier: float | None = None
    normalization_multiplier: float | None = None
    head_multiplier: float | None = None
    learning_rates_by_size: bool = True
    iterations: int = _POLICY.iterations
    batch_size: int = _POLICY.batch_size
    update_interval_seconds: float = _POLICY.update_interval_seconds
    horizon_seconds: float = _POLICY.horizon_seconds
    buffer_samples: int = _POLICY.to_dict()["buffer_samples"]
    first_batch_seconds: float = _CLIENT.first_batch_seconds
    min_samples: int = _POLICY.min_samples
    least_spacing: float = _POLICY.least_spacing
    recency_seconds: float = _POLICY.recency_seconds
    trainer_share: float = _POLICY.trainer_share
    start_states: int = _POLICY.start_states
    adapt_sampling_rate: bool = True
    adapt_training_rate: bool = False
    scene_change_seconds: float = _CLIENT.scene_change_seconds
    class_balance: float = 0.25
    profile: str = _POLICY.profile
    relative_step: float = _POLICY.relative_step
    weight_step_multiplier: float = 1
    downlink_budget_bps: float | None = None
    downlink_link_bps: float = 0
    codec: Codec = field(default_factory=X264Codec)
    policy: Callable[[], ams.UpdatePolicy] | None = None
    prepare: Callable[[Clock, Accelerator], None] | None = None

    def __post_init__(self) -> None:
        """Raises ams.InvalidArgumentError, which names the field and what it may be."""
        self.make_policy()
        ams.ClientOptions(**self.client_options())

    def run(self, stream: Stream, setting: Setting) -> RunResult:
        return run_session(
            stream,
            setting,
            name=self.name,
            make_policy=self.make_policy,
            client_options=self.client_options(),
            codec=self.codec,
            class_balance=self.class_balance,
            prepare=self.prepare,
        )

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
        multipliers = {
            "weight_multiplier": self.weight_multiplier,
            "normalization_multiplier": self.normalization_multiplier,
            "head_multiplier": self.head_multiplier,
        }
        options = {
            **self.pace(),
            **{name: value for name, value in multipliers.items() if value is not None},
            "learning_rate": self.learning_rate,
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


def paper_settings() -> dict[str, Any]:
    """The settings of the paper's section 4.1, as keyword arguments of AMS. The clips are short,
    so two differ: a mini-batch has 8 samples (the paper's code: 10), and the first samples leave
    after 5 s (about 100 s)."""
    policy = ams.PaperPolicy()
    return {
        **{name: policy.to_dict()[name] for name in PACE},
        "strategy": "gradient_guided",
        "gamma": policy.gamma,
        "learning_rate": policy.learning_rate,
        "weight_multiplier": 1,
        "normalization_multiplier": 1,
        "head_multiplier": 1,
        "learning_rates_by_size": False,
        "first_batch_seconds": 5,
        "scene_change_seconds": 0,
        "class_balance": 0,
        "profile": "reference",
        "relative_step": 1,
        "codec": X264Codec(target_bps=200_000),
    }
