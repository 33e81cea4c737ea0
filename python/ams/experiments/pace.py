"""libams with its default settings: many small updates, beside an update every ten seconds."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ams import sim

if TYPE_CHECKING:
    from ams.experiments.context import Context

BUDGETS_KBPS = (1, 2)
TEN_SECONDS = {
    "iterations": 20,
    "update_interval_seconds": 10.0,
    "min_samples": 4,
    "least_spacing": 1.0,
    "recency_seconds": 0.0,
    "trainer_share": 0.0,
    "start_states": 0,
    "first_batch_seconds": 5.0,
    "scene_change_seconds": 0.0,
    "class_balance": 0.0,
    "relative_step": 1.0,
}
ROWS = {
    "no_customization": "No Customization",
    "ten_seconds": "10 s, K = 20",
    "own": "libams: 2 s, K = 8",
    "own_half_steps": "libams, half of the steps",
    **{f"own_{kbps}_kbps": f"libams, at most {kbps} Kbps down" for kbps in BUDGETS_KBPS},
    **{f"own_up_{kbps}_kbps": f"libams, frames at {kbps} Kbps" for kbps in (25, 50, 200)},
}
"""By name, what the rows are called."""

WINDOW_SECONDS = 30
NEAR_POINTS = 5


def pace(context: Context) -> None:
    """Accuracy, both links, steps, how fast a new scene is learned, and the worst half minute."""
    from ams.experiments.context import mean
    from ams.experiments.report import row, write_report

    names = [name for name in ROWS if name in context.pace_rows or name == "no_customization"]
    seeds = context.bandwidth.seeds
    jobs = {
        name: [replace(j, seed=seed) for seed in seeds for j in _jobs(context, name)]
        for name in names
    }
    longest_first = [job for name in reversed(names) for job in jobs[name]]
    results = dict(
        zip(
            [(job.key()) for job in longest_first],
            context.pool.run(longest_first, title="pace"),
            strict=True,
        )
    )
    by_name = {name: [results[job.key()] for job in jobs[name]] for name in names}
    plain = by_name["no_customization"]
    rows, table = [], []
    for name in names:
        lines = [
            {
                **row(result, row=name),
                "steps_per_second": round(
                    result.details.get("iterations", 0) / result.seconds, 2
                ),
                "restarts": result.details.get("restarts", 0)
                + result.details.get("restarts_initial", 0),
                "worst_window_gain": round(worst_gain(result, base), 2),
                "recovery_seconds": round(mean(recoveries(result)), 1),
            }
            for result, base in zip(by_name[name], plain, strict=True)
        ]
        rows += lines
        table.append(
            {
                "row": ROWS[name],
                **{
                    column: round(mean([line[column] for line in lines]), 2)
                    for column in ("miou", "downlink_kbps", "uplink_kbps", "steps_per_second")
                },
                "recovery_seconds": round(
                    mean([s for result in by_name[name] for s in recoveries(result)]), 1
                ),
                "worst_window_gain": min(line["worst_window_gain"] for line in lines),
                "miou_by_seed": [
                    round(mean([r.miou for r in by_name[name] if r.seed == seed]), 2)
                    for seed in seeds
                ],
            }
        )
    write_report(context, "pace", rows, {"table": table})
    _print(table)
    _draw(context, by_name)


def _jobs(context: Context, name: str) -> list[Any]:
    if name == "no_customization":
        return context.jobs(name)
    if name == "ten_seconds":
        return context.jobs("own", **TEN_SECONDS, codec=context.ams["codec"])
    if name == "own_half_steps":
        return context.jobs("own", iterations=4)
    if name.startswith("own_up_"):
        target_bps = 1000 * float(name.split("_")[2])
        return context.jobs("own", codec={"target_bps": target_bps})
    if name.endswith("_kbps"):
        return context.jobs("own", downlink_budget_bps=1000 * float(name.split("_")[1]))
    return context.jobs("own")


def recoveries(result: sim.RunResult) -> list[float]:
    """For each scene, seconds from its beginning until the sliding score has come within
    NEAR_POINTS of what the scene reaches, and stays there in its first half: the median of the
    second half."""
    begins = [begin for begin, _ in result.details.get("scenes", [[0.0, ""]])]
    found = []
    for begin, end in zip(begins, [*begins[1:], result.seconds], strict=True):
        scores = [(t, s) for t, s, _ in result.frames if begin <= t < end and s is not None]
        late = [s for t, s in scores if t >= (begin + end) / 2]
        if not late:
            continue
        reached = statistics.median(late) - NEAR_POINTS
        below = [t for t, s in scores if t < (begin + end) / 2 and s < reached]
        found.append(below[-1] - begin if below else 0.0)
    return found or [0.0]


def worst_gain(result: sim.RunResult, plain: sim.RunResult) -> float:
    """Over all windows of WINDOW_SECONDS, the least gain of the mean sliding score over the
    un-customised student's."""
    pairs = [
        (t, s - p)
        for (t, s, _), (_, p, _) in zip(result.frames, plain.frames, strict=True)
        if s is not None and p is not None
    ]
    least, begin, total = float("inf"), 0, 0.0
    for index, (t, gain) in enumerate(pairs):
        total += gain
        while pairs[begin][0] < t - WINDOW_SECONDS:
            total -= pairs[begin][1]
            begin += 1
        if t >= min(WINDOW_SECONDS, pairs[-1][0]):
            least = min(least, total / (index - begin + 1))
    return least


def _print(table: Sequence[dict[str, Any]]) -> None:
    print("| | mIoU | Kbps down | Kbps up | steps/s | recovery, s | worst half minute |")
    print("|---|---|---|---|---|---|---|")
    for line in table:
        print(
            f"| {line['row']} | {line['miou']:.1f} | {line['downlink_kbps']:.1f} | "
            f"{line['uplink_kbps']:.0f} | {line['steps_per_second']:.1f} | "
            f"{line['recovery_seconds']:.1f} | {line['worst_window_gain']:+.1f} |"
        )


def _draw(context: Context, by_name: dict[str, list[sim.RunResult]]) -> None:
    from ams.experiments.plots import SCHEME_COLORS, pyplot, save

    plt = pyplot()
    clips = list(dict.fromkeys(result.clip for result in by_name["no_customization"]))
    figure, axes = plt.subplots(
        len(clips), 1, figsize=(11, 1.2 + 2.2 * len(clips)), squeeze=False, constrained_layout=True
    )
    colors = {
        "no_customization": SCHEME_COLORS["no_customization"],
        "ten_seconds": SCHEME_COLORS["ams"],
        "own": SCHEME_COLORS["own"],
    }
    shown = [name for name in colors if name in by_name]
    for axis, clip in zip(axes[:, 0], clips, strict=True):
        for name in shown:
            result = next(r for r in by_name[name] if r.clip == clip)
            axis.plot(
                [t for t, _, _ in result.frames],
                [s for _, s, _ in result.frames],
                color=colors[name],
                label=ROWS[name],
                lw=1.4,
            )
            for begin, _ in result.details.get("scenes", [])[1:]:
                axis.axvline(begin, color="#cbd2d9", lw=0.8, zorder=0)
        title = clip.replace("_", " ") if len(clip) < 40 else "all clips, one after another"
        axis.set(title=title, ylabel="mIoU (%)", ylim=(0, None))
    axes[0, 0].legend(loc="lower right", ncols=len(shown))
    axes[-1, 0].set_xlabel("seconds")
    save(figure, context.out / "pace.png")
