"""What all experiments are given, and the runs that several of them share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ams import recommended_multipliers, sim
from ams.experiments.job import ClipFile, Job, StudentFile
from ams.experiments.pool import Pool
from ams.experiments.tuning import Tuned


@dataclass(frozen=True, kw_only=True)
class BandwidthOptions:
    """What `bandwidth` runs. series: names of its curves. seeds: the first one chooses among
    learning_rate_factors, which multiply each scheme's own learning rate; figures are the others',
    if there are any."""

    series: tuple[str, ...]
    budgets_kbps: tuple[float, ...]
    learning_rate_factors: tuple[float, ...]
    seeds: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Context:
    """The command's flags, checked. streams: the clips of each run: one each, or all as one stream.

    students: one for each stream. ams, one_time, remote_tracking, just_in_time: options of the
    schemes. multipliers: of AMS's learning rate by role, where the flags give any. steps: the
    relative_step of profile compact, and its weight_step_multiplier where the flags give one.
    own: options of AMS with libams's default settings. teacher: labels what AMS's server decodes.
    jit_tolerance: points of mIoU that Just-In-Time may stay below AMS. fig6_devices: how many
    share one accelerator.
    """

    out: Path
    pool: Pool
    streams: tuple[tuple[ClipFile, ...], ...]
    students: tuple[StudentFile, ...]
    seed: int
    device: str
    max_seconds: float | None
    start_up_seconds: float
    link: sim.Link
    costs: sim.Costs
    ams: dict[str, Any]
    own: dict[str, Any]
    teacher: sim.Teacher | None
    multipliers: dict[str, float]
    steps: dict[str, float]
    one_time: dict[str, Any]
    remote_tracking: dict[str, Any]
    just_in_time: dict[str, Any]
    jit_tolerance: float
    fig6_devices: tuple[int, ...]
    bandwidth: BandwidthOptions
    pace_rows: tuple[str, ...]
    settings: dict[str, Any]

    def jobs(self, scheme: str, **options: Any) -> list[Job]:
        """The scheme on every stream, with these options changed. "own" is AMS with libams's
        default settings."""
        base = {
            "ams": self.ams,
            "own": self.own,
            "one_time": self.one_time,
            "remote_tracking": self.remote_tracking,
            "just_in_time": self.just_in_time,
        }
        trains = scheme in ("ams", "own", "one_time", "just_in_time")
        options = {**base.get(scheme, {}), **options}
        is_ams = scheme in ("ams", "own")
        if is_ams:
            options = self._steps(options) | options | self._multipliers(options)
        return [
            Job(
                clips=clips,
                scheme="ams" if is_ams else scheme,
                student=student,
                teacher=self.teacher if is_ams else None,
                seed=self.seed,
                options=options,
                device=self.device if trains else "cpu",
                max_seconds=self.max_seconds,
                start_up_seconds=self.start_up_seconds,
                link=self.link,
                costs=self.costs,
            )
            for clips, student in zip(self.streams, self.students, strict=True)
        ]

    def _multipliers(self, options: dict[str, Any]) -> dict[str, float]:
        """As ams-server's: the flags', else those recommended for the strategy, roles that it does
        not name as weights. With a budget the flags' are times the session's own."""
        if options["downlink_budget_bps"]:
            return self.multipliers
        return recommended_multipliers(
            strategy=options["strategy"], gamma=options["gamma"], **self.multipliers
        )

    def _steps(self, options: dict[str, Any]) -> dict[str, float]:
        """The flags'; of profile compact without a budget, which alone has any."""
        has_steps = options["profile"] == "compact" and not options["downlink_budget_bps"]
        return self.steps if has_steps else {}


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """All schemes on all streams: results by scheme, in the order of the streams."""

    results: dict[str, list[sim.RunResult]]
    tuned: list[Tuned]

    def thresholds(self) -> list[dict[str, Any]]:
        """Just-In-Time's tuning, for the report."""
        return [
            {
                "clip": tuned.result.clip,
                "threshold": tuned.threshold,
                "reaches_ams": tuned.meets_target,
                "probes": [
                    {"threshold": t, "miou": miou, "downlink_kbps": kbps}
                    for t, miou, kbps in tuned.probes
                ],
            }
            for tuned in self.tuned
        ]


def compare_schemes(context: Context) -> Comparison:
    """The five schemes of tables 1 and 2, Just-In-Time at AMS's accuracy on each stream, and libams
    with its default settings."""
    names = ["no_customization", "one_time", "remote_tracking", "ams", "own"]
    jobs = [job for name in names for job in context.jobs(name)]
    # Longest first, so that no process is left alone with a long one at the end.
    order = {"ams": 0, "one_time": 1, "remote_tracking": 2, "no_customization": 3}  # "own" is AMS
    in_order = sorted(jobs, key=lambda job: order[job.scheme])
    done = {
        job.key(): r
        for job, r in zip(in_order, context.pool.run(in_order, title="schemes"), strict=True)
    }
    results = {name: [done[job.key()] for job in context.jobs(name)] for name in names}
    tuned = context.pool.tune(
        context.jobs("just_in_time"),
        target_mious=[result.miou for result in results["ams"]],
        tolerance=context.jit_tolerance,
        title="just_in_time",
    )
    results["just_in_time"] = [each.result for each in tuned]
    shown = ["no_customization", "one_time", "remote_tracking", "just_in_time", "ams", "own"]
    return Comparison(results={name: results[name] for name in shown}, tuned=tuned)


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
