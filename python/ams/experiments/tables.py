"""Tables 1 to 3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ams import sim
from ams.experiments.context import Comparison, Context, compare_schemes, mean
from ams.experiments.plots import (
    SCHEME_COLORS,
    SCHEME_NAMES,
    SERIES_COLORS,
    pyplot,
    save,
)
from ams.experiments.report import row, write_report

STRATEGIES = ("last_layers", "first_layers", "first_and_last_layers", "random", "gradient_guided")
FRACTIONS = (0.2, 0.1, 0.05, 0.01)


def table1(context: Context) -> None:
    """mIoU and bandwidth of the five schemes."""
    comparison = compare_schemes(context)
    _write_comparison(context, "table1", comparison)
    _draw_table1(context, comparison)


def table2(context: Context) -> None:
    """mIoU of the five schemes, video by video."""
    comparison = compare_schemes(context)
    _write_comparison(context, "table2", comparison)
    _draw_table2(context, comparison)


def _write_comparison(context: Context, name: str, comparison: Comparison) -> None:
    columns = list(zip(*comparison.results.values(), strict=True))
    write_report(
        context,
        name,
        [
            {**row(result), "scheme": scheme}
            for column in columns
            for scheme, result in zip(comparison.results, column, strict=True)
        ],
        {
            "means": {scheme: means(results) for scheme, results in comparison.results.items()},
            "just_in_time_thresholds": comparison.thresholds(),
            "one_time_first_seconds": [
                {"clip": r.clip, "first_seconds": r.details["first_seconds"]}
                for r in comparison.results["one_time"]
            ],
            "digests_equal": all(
                result.digests_equal is not False
                for results in comparison.results.values()
                for result in results
            ),
        },
    )


def means(results: Sequence[sim.RunResult]) -> dict[str, float]:
    """Over clips, each with the same weight."""
    return {
        name: round(mean([getattr(result, name) for result in results]), 3)
        for name in ("miou", "miou_whole_video", "uplink_kbps", "downlink_kbps")
    }


def _draw_table1(context: Context, comparison: Comparison) -> None:
    plt = pyplot()
    schemes = list(comparison.results)
    averages = [means(comparison.results[scheme]) for scheme in schemes]
    labels = [SCHEME_NAMES[scheme] for scheme in schemes]
    colors = [SCHEME_COLORS[scheme] for scheme in schemes]
    figure, (accuracy, links) = plt.subplots(1, 2, figsize=(13, 5.2), constrained_layout=True)
    count = len(comparison.results["ams"])
    figure.suptitle(
        f"Five schemes on {count} clip{'s' if count > 1 else ''}, mean",
        fontweight="bold",
        fontsize=14,
    )

    accuracy.barh(labels, [a["miou"] for a in averages], color=colors, height=0.62)
    for position, scheme in enumerate(schemes):
        values = [result.miou for result in comparison.results[scheme]]
        average = averages[position]["miou"]
        accuracy.text(
            max(values) + 2, position, f"{average:.1f}", va="center", fontweight="bold", fontsize=13
        )
        accuracy.plot(values, [position] * len(values), "|", color="#1f2933", ms=9, alpha=0.55)
    accuracy.set(title="Accuracy: mIoU (%); every clip a mark", xlim=(0, 100))
    accuracy.grid(axis="y", visible=False)
    accuracy.grid(axis="x", visible=True)
    accuracy.invert_yaxis()

    senders = [i for i, average in enumerate(averages) if average["downlink_kbps"] > 0]
    places = range(len(senders))
    for offset, name, alpha in ((-0.19, "uplink_kbps", 0.45), (0.19, "downlink_kbps", 1.0)):
        values = [averages[i][name] for i in senders]
        bars = links.barh(
            [place + offset for place in places], values, height=0.36, alpha=alpha,
            color=[colors[i] for i in senders],
        )  # fmt: skip
        links.bar_label(bars, fmt=lambda v: f"{v:,.0f}" if v >= 100 else f"{v:.1f}", padding=4)
    links.set_yticks(list(places), [labels[i] for i in senders])
    links.set_xscale("log")
    most = max(max(a["uplink_kbps"], a["downlink_kbps"]) for a in averages)
    links.set(title="Link: Kbps up (pale) and down", xlim=(1, most * 4))
    links.grid(axis="y", visible=False)
    links.grid(axis="x", visible=True)
    links.invert_yaxis()
    save(figure, context.out / "table1.png")


def _draw_table2(context: Context, comparison: Comparison) -> None:
    plt = pyplot()
    schemes = list(comparison.results)
    clips = [result.clip for result in comparison.results["ams"]]
    rows = [[comparison.results[s][i].miou for s in schemes] for i in range(len(clips))]
    names = [clip.replace("_", " ") for clip in clips]
    if len(clips) > 1:
        rows.append([mean([r[i] for r in rows]) for i in range(len(schemes))])
        names.append("mean")
    height = 1.9 + 0.55 * len(rows)
    figure, axes = plt.subplots(figsize=(11, height), constrained_layout=True)
    gains = [[value - line[0] for value in line] for line in rows]
    bound = max(5.0, max(abs(gain) for line in gains for gain in line))
    axes.imshow(gains, cmap="RdBu", vmin=-1.6 * bound, vmax=1.6 * bound, aspect="auto")
    for y, line in enumerate(rows):
        best = max(line)
        for x, value in enumerate(line):
            gain = "" if x == 0 else f"  ({value - line[0]:+.1f})"
            weight = "bold" if value == best else "normal"
            axes.text(x, y, f"{value:.1f}{gain}", ha="center", va="center", fontweight=weight)
    axes.set_xticks(range(len(schemes)), [SCHEME_NAMES[s] for s in schemes])
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(length=0, top=True, bottom=False, labeltop=True, labelbottom=False)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    if len(clips) > 1:
        axes.axhline(len(rows) - 1.5, color="#1f2933", lw=1.2)
    axes.set_title("mIoU (%), and gain over No Customization", pad=14)
    save(figure, context.out / "table2.png")


def table3(context: Context) -> None:
    """Which parameters to send: strategies and fractions against the whole model."""
    choices = [("full", 1.0)] + [(s, f) for f in FRACTIONS for s in STRATEGIES]
    jobs = [
        job
        for strategy, fraction in choices
        for job in context.jobs("ams", **_selection(strategy, fraction))
    ]
    results = iter(context.pool.run(jobs, title="strategies"))
    by_choice = {choice: [next(results) for _ in context.streams] for choice in choices}
    full = by_choice["full", 1.0]

    rows = []
    for (strategy, fraction), group in by_choice.items():
        for result, whole in zip(group, full, strict=True):
            difference = round(result.miou - whole.miou, 3)
            rows.append(
                row(result, strategy=strategy, fraction=fraction, miou_difference=difference)
            )
    summary = [
        {
            "strategy": strategy,
            "fraction": fraction,
            "miou_difference": round(
                mean([r.miou - w.miou for r, w in zip(group, full, strict=True)]), 3
            ),
            **means(group),
        }
        for (strategy, fraction), group in by_choice.items()
    ]
    write_report(context, "table3", rows, {"means": summary})
    _draw_table3(context, summary)


def _selection(strategy: str, fraction: float) -> dict[str, Any]:
    # `full` ignores gamma; naming one value lets equal runs be one.
    gamma = 1.0 if strategy == "full" else fraction
    return {"strategy": strategy, "gamma": gamma, "downlink_budget_bps": None}


def _draw_table3(context: Context, summary: Sequence[dict[str, Any]]) -> None:
    plt = pyplot()
    figure, axes = plt.subplots(figsize=(10, 5.6), constrained_layout=True)
    for strategy, color in zip(STRATEGIES, SERIES_COLORS, strict=False):
        points = [line for line in summary if line["strategy"] == strategy]
        ours = strategy == "gradient_guided"
        axes.plot(
            [line["downlink_kbps"] for line in points],
            [line["miou_difference"] for line in points],
            "o-",
            color=color,
            lw=3 if ours else 1.8,
            ms=8 if ours else 6,
            label=strategy.replace("_", " "),
            zorder=3 if ours else 2,
        )
    whole = next(line for line in summary if line["strategy"] == "full")
    axes.axhline(0, color="#1f2933", lw=1.2)
    axes.plot([whole["downlink_kbps"]], [0], "s", color="#1f2933", ms=9, zorder=4)
    axes.annotate(
        f"whole model: {whole['downlink_kbps']:,.0f} Kbps, {whole['miou']:.1f} mIoU",
        (whole["downlink_kbps"], 0), xytext=(-6, 9), textcoords="offset points", ha="right",
    )  # fmt: skip
    for line in summary:
        if line["strategy"] == "gradient_guided":
            axes.annotate(
                f"{line['fraction']:.0%}", (line["downlink_kbps"], line["miou_difference"]),
                xytext=(0, 11), textcoords="offset points", ha="center", color="#2a7de1",
                fontweight="bold",
            )  # fmt: skip
    axes.set_xscale("log")
    axes.set(
        title="Which parameters to send",
        xlabel="downlink (Kbps, every byte)",
        ylabel="mIoU difference to the whole model (points)",
    )
    axes.legend(loc="lower right")
    save(figure, context.out / "table3.png")
