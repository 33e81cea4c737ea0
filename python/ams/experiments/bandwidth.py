"""Accuracy against downlink: every strategy, profile and budget, each at its best learning rate."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ams import sim
from ams.experiments.context import Context, mean
from ams.experiments.job import Job, write_text
from ams.experiments.plots import pyplot, save
from ams.experiments.report import row, write_report
from ams.experiments.tables import means

PROFILES = ("reference", "compact")
FRACTIONS = (0.2, 0.1, 0.05, 0.01)
ONE_FRACTION = (0.05,)
GROUP_FRACTIONS = (0.05, 0.01)
LAST_FRACTION = (0.02,)
THRESHOLDS = (0.55, 0.65, 0.75, 0.85)

# Strategy, and the fractions at which it is run; None where there is none.
STRATEGIES: dict[str, tuple[float | None, ...]] = {
    "full": (None,),
    "gradient_guided": FRACTIONS,
    "random": ONE_FRACTION,
    "first_layers": ONE_FRACTION,
    "last_layers": ONE_FRACTION,
    "first_and_last_layers": ONE_FRACTION,
    "normalization": (None,),
    "normalization_and_head": (None,),
    "normalization+last_layers": LAST_FRACTION,
    "normalization+gradient_guided": GROUP_FRACTIONS,
    "normalization_and_head+gradient_guided": GROUP_FRACTIONS,
}
SERIES = ("no_customization", *STRATEGIES, "budget", "just_in_time")

COLORS = {
    "full": "#1f2933",
    "gradient_guided": "#2a7de1",
    "random": "#9aa5b1",
    "first_layers": "#c8a2c8",
    "last_layers": "#8d6b94",
    "first_and_last_layers": "#6a4c93",
    "normalization": "#7fb069",
    "normalization_and_head": "#2e7d32",
    "normalization+last_layers": "#b08900",
    "normalization+gradient_guided": "#26a69a",
    "normalization_and_head+gradient_guided": "#00798c",
    "budget": "#e07a1f",
    "just_in_time": "#d1495b",
}


@dataclass(frozen=True, kw_only=True)
class Point:
    """One way to use the downlink. value: the strategy's fraction, the budget in Kbps or
    Just-In-Time's threshold; None where there is none."""

    series: str
    profile: str
    value: float | None

    @property
    def title(self) -> str:
        """For a table."""
        name = self.series.replace("_", " ")
        if self.value is None:
            return name
        return f"{name}, {self.value:g} Kbps" if self.series == "budget" else f"{name} {self.label}"

    @property
    def label(self) -> str:
        """Of the value."""
        return f"{self.value:g}" if self.series == "budget" else f"{100 * self.value:.3g}%"

    @property
    def trains(self) -> bool:
        """Whether learning rate and seed make a difference."""
        return self.series != "no_customization"

    def jobs(self, context: Context, *, factor: float, seed: int) -> list[Job]:
        """On every stream, with the learning rate times `factor`."""
        scheme, options = "ams", dict(context.ams)
        if self.series == "no_customization":
            scheme, options = self.series, {}
        elif self.series == "just_in_time":
            scheme, options = self.series, {**context.just_in_time, "threshold": self.value}
        elif self.series == "budget":
            options["downlink_budget_bps"] = 1000 * self.value
        else:
            # `full` and groups ignore gamma; naming one value lets equal runs be one.
            gamma = 1.0 if self.value is None else self.value
            options |= {"strategy": self.series, "gamma": gamma}
            options |= {"downlink_budget_bps": None, "downlink_link_bps": 0}
        if self.profile:
            options["profile"] = self.profile
        if "learning_rate" in options:
            options["learning_rate"] *= factor
        return [replace(job, seed=seed) for job in context.jobs(scheme, **options)]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A point at its best learning rate. runs: by seed, one result a stream, the seed that chose
    the rate first; tried: (factor, mIoU with that seed, mean over streams) of all factors."""

    point: Point
    factor: float
    runs: dict[int, list[sim.RunResult]]
    tried: tuple[tuple[float, float], ...]

    @property
    def told(self) -> list[list[sim.RunResult]]:
        """By seed, the runs that figures are of: the best of several rates is flattered by the seed
        that chose it, so where there are other seeds, theirs."""
        runs = list(self.runs.values())
        return runs[1:] or runs

    def average(self, name: str) -> float:
        """Over streams and seeds."""
        return mean([getattr(result, name) for runs in self.told for result in runs])

    def at_edge(self) -> bool:
        """Whether a learning rate beyond those tried might be better still."""
        factors = sorted(factor for factor, _ in self.tried)
        return len(factors) > 1 and self.factor in (factors[0], factors[-1])

    def miou_deviation(self) -> float | None:
        """Standard deviation over seeds of the mean over streams; None with one seed."""
        values = [_miou(runs) for runs in self.told]
        return statistics.stdev(values) if len(values) > 1 else None


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Which points of a series: those of one profile, or one value, or all (None)."""

    series: str
    value: float | None = None
    profile: str | None = None

    @staticmethod
    def parse(text: str) -> Curve:
        """Of NAME, NAME@VALUE, NAME/PROFILE or NAME@VALUE/PROFILE. Raises ValueError."""
        rest, slash, profile = text.partition("/")
        name, at, value = rest.partition("@")
        if name not in SERIES:
            raise ValueError(f"no series is called {name!r}; there are {', '.join(SERIES)}")
        if slash and (profile not in PROFILES or not _values(name)):
            raise ValueError(f"{text!r}: profiles are {' and '.join(PROFILES)}, of what is trained")
        if not at:
            return Curve(series=name, profile=profile or None)
        if name == "budget":
            raise ValueError(f"{text!r}: budgets are named by --budgets-kbps")
        if _values(name) in ((), (None,)):
            raise ValueError(f"{text!r}: {name} has no value; leave {at}{value} out")
        try:
            number = float(value)
        except ValueError:
            number = 0.0
        if not 0 < number <= 1:
            raise ValueError(f"{text!r}: the value after @ is a number above 0, up to 1")
        return Curve(series=name, value=number, profile=profile or None)

    def points(self) -> list[Point]:
        """In the order of the picture's legend."""
        profiles = PROFILES if self.profile is None else (self.profile,)
        values = _values(self.series) if self.value is None else (self.value,)
        return [Point(series=self.series, profile=p, value=v) for p in profiles for v in values]


def _values(name: str) -> tuple[float | None, ...]:
    """At which a series is run in both profiles."""
    return THRESHOLDS if name == "just_in_time" else STRATEGIES.get(name, ())


def points(curves: Sequence[Curve], budgets_kbps: Sequence[float]) -> list[Point]:
    """All different ones, in the order of SERIES."""
    found: dict[Point, None] = {}
    for curve in sorted(curves, key=lambda curve: SERIES.index(curve.series)):
        if curve.series == "no_customization":
            mine = [Point(series=curve.series, profile="", value=None)]
        elif curve.series == "budget":
            # The session writes `compact`.
            mine = [Point(series=curve.series, profile="compact", value=v) for v in budgets_kbps]
        else:
            mine = curve.points()
        found |= dict.fromkeys(mine)
    return list(found)


def bandwidth(context: Context) -> None:
    """mIoU against downlink Kbps."""
    chosen = points(
        [Curve.parse(text) for text in context.bandwidth.series], context.bandwidth.budgets_kbps
    )
    measured = _measure(context, chosen)
    rows = [
        row(
            result,
            series=each.point.series,
            value="" if each.point.value is None else each.point.value,
            profile=each.point.profile,
            learning_rate_factor=each.factor,
            chose_learning_rate=len(each.runs) > 1 and runs is next(iter(each.runs.values())),
        )
        for each in measured
        for runs in each.runs.values()
        for result in runs
    ]
    summary = [_summary(each, _paper(measured)) for each in measured]
    write_report(
        context,
        "bandwidth",
        rows,
        {
            "means": summary,
            "learning_rate_search": [
                {
                    "series": each.point.series,
                    "value": each.point.value,
                    "profile": each.point.profile,
                    "miou_by_factor": {f"{factor:g}": round(m, 3) for factor, m in each.tried},
                }
                for each in measured
                if each.tried
            ],
        },
    )
    write_text(context.out / "bandwidth.md", _table(summary))
    _draw(context, measured)


def _measure(context: Context, chosen: Sequence[Point]) -> list[Measured]:
    """Every factor with the first seed; then the other seeds at the best factor."""
    first, *others = context.bandwidth.seeds
    factors = {
        point: context.bandwidth.learning_rate_factors if point.trains else (1.0,)
        for point in chosen
    }
    seeds = {point: (first, *others) if point.trains else (first,) for point in chosen}
    search = [(point, factor) for point in chosen for factor in factors[point]]
    found = _run(context, [(*each, first) for each in search], "bandwidth: learning rates")
    best: list[tuple[Point, float]] = []
    for point in chosen:
        rank = {factor: _miou(found[point, factor, first]) for factor in factors[point]}
        best.append((point, max(rank, key=rank.__getitem__)))
    more = [(point, factor, seed) for point, factor in best for seed in seeds[point][1:]]
    found |= _run(context, more, "bandwidth: other seeds")
    return [
        Measured(
            point=point,
            factor=factor,
            runs={seed: found[point, factor, seed] for seed in seeds[point]},
            tried=tuple((f, _miou(found[point, f, first])) for f in factors[point])
            if point.trains
            else (),
        )
        for point, factor in best
    ]


def _run(
    context: Context, wanted: Sequence[tuple[Point, float, int]], title: str
) -> dict[tuple[Point, float, int], list[sim.RunResult]]:
    jobs = [
        job
        for point, factor, seed in wanted
        for job in point.jobs(context, factor=factor, seed=seed)
    ]
    results = iter(context.pool.run(jobs, title=title))
    return {each: [next(results) for _ in context.streams] for each in wanted}


def _miou(results: Sequence[sim.RunResult]) -> float:
    return mean([result.miou for result in results])


def _paper(measured: Sequence[Measured]) -> Measured | None:
    """The paper's 5%, if it was run."""
    paper = Point(series="gradient_guided", profile="reference", value=0.05)
    return next((each for each in measured if each.point == paper), None)


def _summary(each: Measured, paper: Measured | None) -> dict[str, Any]:
    kbps = each.average("downlink_kbps")
    deviation = each.miou_deviation()
    return {
        "series": each.point.series,
        "value": each.point.value,
        "profile": each.point.profile,
        "title": each.point.title,
        "learning_rate_factor": each.factor,
        "at_edge": each.at_edge(),
        "seeds": len(each.told),
        **means([result for runs in each.told for result in runs]),
        "miou_deviation": None if deviation is None else round(deviation, 3),
        **_use(each),
        "times_less_than_paper": round(paper.average("downlink_kbps") / kbps, 2)
        if paper and kbps
        else None,
        "miou_over_paper": round(each.average("miou") - paper.average("miou"), 3)
        if paper
        else None,
    }


def _use(each: Measured) -> dict[str, Any]:
    """What the downlink carried at the least and at the most; of a budget, which part of it: each
    stream's mean over the seeds, and the most of all runs."""
    results = [result for runs in each.runs.values() for result in runs]  # every seed's
    kbps = [result.downlink_kbps for result in results]
    name = "busiest_minute_kbps"
    minutes = [result.details[name] for result in results if name in result.details]
    use: dict[str, Any] = {
        "least_downlink_kbps": round(min(kbps), 3),
        "most_downlink_kbps": round(max(kbps), 3),
        "busiest_minute_kbps": round(max(minutes), 3) if minutes else None,
    }
    if each.point.series == "budget":
        budget = each.point.value
        use["used_of_budget"] = {
            same[0].clip: round(mean([r.downlink_kbps for r in same]) / budget, 3)
            for same in zip(*each.told, strict=True)
        }
        use["most_used_of_budget"] = round(max(kbps) / budget, 3)
    return use


def _table(summary: Sequence[dict[str, Any]]) -> str:
    """Markdown, for a README."""
    lines = [
        "| what is trained and sent | profile | learning rate | mIoU | Kbps down | "
        "the paper's 5% costs | mIoU over the paper's 5% |",
        "|---|---|---|---|---|---|---|",
    ]
    for each in summary:
        miou = f"{each['miou']:.1f}"
        if each["miou_deviation"] is not None:
            miou += f" ± {each['miou_deviation']:.1f}"
        trains = bool(each["profile"])
        times, over = each["times_less_than_paper"], each["miou_over_paper"]
        cells = [
            each["title"],
            each["profile"],
            f"x {each['learning_rate_factor']:g}{'*' if each['at_edge'] else ''}" if trains else "",
            miou,
            f"{each['downlink_kbps']:.3g}" if trains else "0",
            "" if times is None else f"{times:.3g} times",
            "" if over is None else f"{over:+.1f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    text = "\n".join(lines) + "\n"
    if any(each["at_edge"] for each in summary):
        text += "\n\\* the largest or smallest learning rate that was tried.\n"
    return text


def _draw(context: Context, measured: Sequence[Measured]) -> None:
    plt = pyplot()
    figure, axes = plt.subplots(figsize=(11.5, 6.6), constrained_layout=True)
    labelled: set[str] = set()  # one entry of the legend a series, whatever profiles it has
    for series in SERIES:
        for profile in PROFILES:
            mine = [e for e in measured if (e.point.series, e.point.profile) == (series, profile)]
            if not mine:
                continue
            mine.sort(key=lambda each: each.average("downlink_kbps"))
            x = [each.average("downlink_kbps") for each in mine]
            y = [each.average("miou") for each in mine]
            is_compact = profile == "compact"
            bold = series in ("budget", "normalization_and_head", "gradient_guided")
            axes.plot(
                x, y, "*-" if series == "budget" else "o-" if is_compact else "s--",
                color=COLORS[series], lw=2.6 if bold else 1.4,
                ms=(14 if series == "budget" else 8 if bold else 6),
                markerfacecolor=COLORS[series] if is_compact else "white",
                label=None if series in labelled else series.replace("_", " "),
                zorder=3 if bold else 2,
            )  # fmt: skip
            labelled.add(series)
            for each, px, py in zip(mine, x, y, strict=True):
                deviation = each.miou_deviation() or 0.0
                if deviation:
                    axes.errorbar(
                        px, py, yerr=deviation, color=COLORS[series], lw=1.4, capsize=4, zorder=2
                    )
                if each.point.value is not None and len(mine) > 1:
                    axes.annotate(
                        each.point.label, (px, py + deviation), xytext=(0, 9),
                        textcoords="offset points", ha="center", color=COLORS[series], fontsize=9,
                    )  # fmt: skip
    for each in measured:
        if each.point.series == "no_customization":
            # Far below, where it would take the room of what is compared.
            axes.annotate(
                f"nothing sent: {each.average('miou'):.1f}", (0.99, 0.02),
                xycoords="axes fraction", ha="right", color="#556677",
            )  # fmt: skip
    # So much at least that what seeds make of a point does not look large.
    least_range = 12
    bottom, top = axes.get_ylim()
    room = max(0.0, least_range - (top - bottom))
    axes.set_ylim(bottom - 0.6 * room, top + 0.4 * room)
    count = len(context.streams)
    runs = {len(each.told) for each in measured if each.point.trains} or {1}
    seeds = f"{min(runs)} to {max(runs)}" if len(runs) > 1 else str(*runs)
    what = "one stream of all clips" if len(context.streams[0]) > 1 else f"mean of {count} clips"
    axes.set_xscale("log")
    axes.set(
        title=f"Accuracy against downlink: {what}, {seeds} seed{'' if seeds == '1' else 's'}",
        xlabel="downlink (Kbps, every byte)",
        ylabel="mIoU (%)",
        xlim=(0.5, 1000),
    )
    low, high = axes.get_xlim()
    kbps = [each.average("downlink_kbps") for each in measured if each.point.profile]
    axes.set_xlim(min([low, *(0.8 * k for k in kbps if k)]), max([high, *(1.3 * k for k in kbps)]))
    axes.set_xticks([0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000])
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.grid(axis="x", visible=True)
    handles, _ = axes.get_legend_handles_labels()
    handles += [
        plt.Line2D([], [], color="#1f2933", marker="o", label="profile compact"),
        plt.Line2D(
            [], [], color="#1f2933", marker="s", ls="--", markerfacecolor="white",
            label="profile reference (fp16)",
        ),
    ]  # fmt: skip
    axes.legend(handles=handles, loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=9)
    save(figure, context.out / "bandwidth.png")
