"""Which flags an experiment has no use for, so that none is given in vain."""

from __future__ import annotations

import argparse

_CHOICE = ("strategy", "gamma", "downlink_kbps", "downlink_link_kbps")
_RATES = ("learning_rate_weight", "learning_rate_normalization", "learning_rate_head")
_AMS = (
    *_CHOICE, *_RATES, "learning_rate", "iterations", "update_interval_seconds", "horizon_seconds",
    "first_batch_seconds", "uplink_target_kbps", "profile",
)  # fmt: skip
_TRACKING = ("flow_size", "flow_every_frame")
_TUNING = ("jit_tolerance",)
_JUST_IN_TIME = ("jit_learning_rate",)
_WORLD = (
    "link_up_kbps", "link_down_kbps", "delay_seconds", "teacher_seconds", "iteration_seconds",
    "iteration_sample_seconds", "measured", "start_up_seconds",
)  # fmt: skip
_BANDWIDTH = ("series", "budgets_kbps", "learning_rate_factors", "seeds")
_FIG6 = ("devices",)
_PRETRAIN = ("steps", "pretrain_learning_rate", "leave_one_out")

_ALONE = {
    **dict.fromkeys(_TRACKING, "it does not run Remote+Tracking"),
    **dict.fromkeys(_TUNING, "it tunes no threshold"),
    **dict.fromkeys(_JUST_IN_TIME, "it does not run Just-In-Time"),
}
_FOR_OTHERS = {
    **dict.fromkeys(_BANDWIDTH, "it is for bandwidth"),
    **dict.fromkeys(_FIG6, "it is for fig6"),
    **dict.fromkeys(_PRETRAIN, "it is for pretrain"),
}
_OWN_STRATEGIES = dict.fromkeys(_CHOICE, "it runs its own strategies and fractions")


def _without(reasons: dict[str, str], *names: str) -> dict[str, str]:
    return {name: reason for name, reason in reasons.items() if name not in names}


# By experiment: flag, and why there is no use for it.
_UNUSED = {
    "table1": _FOR_OTHERS,
    "table2": _FOR_OTHERS,
    "table3": _FOR_OTHERS | _ALONE | _OWN_STRATEGIES,
    "fig3": _FOR_OTHERS | _ALONE,
    "fig4": _without(_FOR_OTHERS | _ALONE, *_JUST_IN_TIME)
    | {"update_interval_seconds": "it runs its own"},
    "fig5": _FOR_OTHERS,
    "fig6": _without(_FOR_OTHERS | _ALONE, *_FIG6),
    "bandwidth": _without(_FOR_OTHERS | _ALONE, *_BANDWIDTH, *_JUST_IN_TIME)
    | dict.fromkeys(("strategy", "profile", "downlink_kbps"), "name --series and --budgets-kbps"),
    "pretrain": _without(_FOR_OTHERS, *_PRETRAIN)
    | _ALONE
    | dict.fromkeys((*_AMS, *_WORLD, "stream"), "it runs no scheme")
    | {
        "device": "it computes on the CPU",
        "learning_rate": "name --pretrain-learning-rate",
    },
}


def uses(flags: argparse.Namespace, name: str) -> bool:
    """Whether the flag makes a difference to the experiment. Just-In-Time alone of what bandwidth
    runs takes its fraction from --gamma."""
    if flags.experiment == "bandwidth" and name in ("gamma", *_JUST_IN_TIME):
        return any(text.startswith("just_in_time") for text in flags.series)
    return name not in _UNUSED[flags.experiment]


def refuse_unused(flags: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Raises ValueError for a flag that is not as by default and makes no difference."""
    defaults = parser.parse_args([flags.experiment, "--clips", "", "--out", ""])
    reasons = _UNUSED[flags.experiment]
    for name, value in vars(flags).items():
        if uses(flags, name) or value == getattr(defaults, name):
            continue
        reason = reasons.get(name, "no series that takes it is named")
        raise ValueError(f"{flags.experiment} takes no --{name.replace('_', '-')}: {reason}")
