"""Which flags an experiment has no use for, so that none is given in vain."""

from __future__ import annotations

import argparse
import re

_CHOICE = ("strategy", "gamma", "downlink_kbps", "downlink_link_kbps")
_RATES = (
    "learning_rates_by_size", "learning_rate_weight", "learning_rate_normalization",
    "learning_rate_head",
)  # fmt: skip
_STEPS = ("relative_step", "relative_step_weight")
_PHASES = (
    "iterations", "update_interval_seconds", "horizon_seconds", "buffer_samples",
    "first_batch_seconds", "uplink_target_kbps",
)  # fmt: skip
_AMS = (*_CHOICE, *_RATES, *_STEPS, *_PHASES, "learning_rate", "profile")
_TRACKING = ("flow_size", "flow_every_frame")
_TUNING = ("jit_tolerance",)
_JUST_IN_TIME = ("jit_learning_rate",)
_WORLD = (
    "link_up_kbps", "link_down_kbps", "delay_seconds", "teacher_seconds", "iteration_seconds",
    "iteration_sample_seconds", "measured", "start_up_seconds",
)  # fmt: skip
_BANDWIDTH = ("series", "budgets_kbps", "learning_rate_factors", "seeds")
_PACE = ("rows",)
_TEACHER = ("teacher", "teacher_input")
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
    **dict.fromkeys(_PACE, "it is for pace"),
    **dict.fromkeys(_PRETRAIN, "it is for pretrain"),
}
_WITHOUT_FRACTION = ("full", "normalization", "normalization_and_head")
_OWN_STRATEGIES = dict.fromkeys(_CHOICE, "it runs its own strategies and fractions")


def _trains(series: str) -> bool:
    return series != "no_customization"


def _is_ams(series: str) -> bool:
    return _trains(series) and series != "just_in_time"


def _has_steps(text: str) -> bool:
    """Of a series as it is named: in profile compact, without a budget."""
    series = re.split("[@/]", text)[0]
    return _is_ams(series) and series != "budget" and not text.endswith("/reference")


# By flag of bandwidth: whether a series takes it. --gamma is the fraction of Just-In-Time alone.
_TAKES = {
    **dict.fromkeys(("learning_rate_factors", "seeds"), _trains),
    **dict.fromkeys((*_RATES, *_PHASES, "learning_rate", "batch_size"), _is_ams),
    **dict.fromkeys(("gamma", *_JUST_IN_TIME), "just_in_time".__eq__),
    "budgets_kbps": "budget".__eq__,
}


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
    "pace": _without(_FOR_OTHERS | _ALONE, *_PACE, "seeds")
    | dict.fromkeys(
        (*_CHOICE, *_RATES, *_STEPS, *(n for n in _PHASES if n != "uplink_target_kbps"),
         "learning_rate", "batch_size", "profile"),
        "it runs its own rows",
    ),
    "pretrain": _without(_FOR_OTHERS, *_PRETRAIN)
    | _ALONE
    | dict.fromkeys((*_AMS, *_WORLD, *_TEACHER, "stream"), "it runs no scheme")
    | {
        "device": "it computes on the CPU",
        "learning_rate": "name --pretrain-learning-rate",
    },
}


def uses(flags: argparse.Namespace, name: str) -> bool:
    """Whether the flag makes a difference to the experiment."""
    return _why_unused(flags, name) is None


def refuse_unused(flags: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Raises ValueError for a flag that is not as by default and makes no difference."""
    defaults = parser.parse_args([flags.experiment, "--clips", "", "--out", ""])
    for name, value in vars(flags).items():
        reason = _why_unused(flags, name)
        if reason is not None and value != getattr(defaults, name):
            raise ValueError(f"{flags.experiment} takes no --{name.replace('_', '-')}: {reason}")


def _why_unused(flags: argparse.Namespace, name: str) -> str | None:
    if flags.experiment == "bandwidth" and name in _TAKES:
        series = [re.split("[@/]", text)[0] for text in flags.series]
        if not any(map(_TAKES[name], series)):
            return "no series that takes it is named"
    if (
        flags.experiment == "bandwidth"
        and name in _STEPS
        and not any(map(_has_steps, flags.series))
    ):
        return "no series that takes it is named"
    if name in _UNUSED[flags.experiment]:
        return _UNUSED[flags.experiment][name]
    if name in ("iteration_seconds", "iteration_sample_seconds") and flags.measured:
        return "with --measured steps take as long as they take"
    if name == "teacher_input" and not flags.teacher:
        return "there is no --teacher"
    if name in _STEPS and flags.experiment != "bandwidth":
        if flags.downlink_kbps is not None:
            return "with --downlink-kbps the session chooses its steps"
        if flags.profile != "compact":
            return "of the profiles compact alone has steps"
    if name == "gamma" and flags.strategy in _WITHOUT_FRACTION:
        return f"the strategy {flags.strategy} trains no fraction"
    return None
