"""Figures 3 to 6."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

import ams
from ams import sim
from ams.experiments.context import Context, compare_schemes, mean
from ams.experiments.job import ClipFile, Job
from ams.experiments.plots import SCHEME_COLORS, SCHEME_NAMES, pyplot, save
from ams.experiments.report import row, write_report
from ams.experiments.tables import means
from ams.sim.schemes.adapted import PhiScores

UPDATE_INTERVALS_SECONDS = (10.0, 20.0, 30.0, 40.0)
THRESHOLDS = (0.55, 0.65, 0.75, 0.85)
SCHEDULINGS = ("round_robin", "adaptive")


# ---- figure 3 ----


def fig3(context: Context) -> None:
    """The sampling rate over time beside the scene's change."""
    results = context.pool.run(context.jobs("ams"), title="fig3")
    rows, drawn = [], []
    for clips, result in zip(context.streams, results, strict=True):
        scenes, change = scene_change(clips, context.max_seconds)
        rates = [value_at(result.sampling_rates, second) for second in range(len(change))]
        drawn.append((result, scenes, rates, change))
        rows += [
            row(
                result,
                time_seconds=second,
                sampling_rate_fps=round(rate, 4),
                phi_score="" if phi is None else round(phi, 4),
            )
            for second, (rate, phi) in enumerate(zip(rates, change, strict=True))
        ]
    write_report(
        context,
        "fig3",
        rows,
        {
            "mean_sampling_rate_fps": {r.clip: round(mean(rates), 3) for r, _, rates, _ in drawn},
            "phi_target": ams.PaperPolicy().phi_target,
        },
    )
    _draw_fig3(context, drawn)


def scene_change(
    clips: Sequence[ClipFile], max_seconds: float | None
) -> tuple[list[tuple[float, str]], list[float | None]]:
    """When each clip begins, and for each second of the stream the phi-score of its labels and
    those a second before: the change at a fixed distance, whatever the sampling rate was. None for
    the first second."""
    stream = sim.Stream([clip.folder for clip in clips], max_seconds=max_seconds or 1e9)
    phi = PhiScores(stream.classes)
    change: list[float | None] = []
    before = None
    for second in range(math.ceil(stream.duration_seconds)):
        labels = stream.labels_at(float(second))
        change.append(None if before is None else phi.of_labels(before, labels))
        before = labels
    return stream.scenes, change


def value_at(trace: Sequence[Sequence[float]], seconds: float) -> float:
    """Of a trace [time, value], in order, the value in force; before the first one that one."""
    value = trace[0][1]
    for time, later in trace:
        if time > seconds:
            break
        value = later
    return value


def _draw_fig3(context: Context, drawn: Sequence[tuple]) -> None:
    plt = pyplot()
    columns = 1 if len(drawn) == 1 else 2
    lines = math.ceil(len(drawn) / columns)
    size = (14, 2.9 * lines + 0.6) if columns == 2 else (13, 4.4)
    figure, grid = plt.subplots(
        lines, columns, figsize=size, constrained_layout=True, squeeze=False
    )
    figure.suptitle("Sampling rate follows the scene", fontweight="bold", fontsize=14)
    target = ams.PaperPolicy().phi_target
    for axes, (result, scenes, rates, change) in zip(grid.flat, drawn, strict=False):
        seconds = np.arange(len(change))
        known = np.array([np.nan if phi is None else phi for phi in change])
        axes.plot(seconds, _smooth(known, 10), color="#d1495b", lw=1.8)
        axes.axhline(target, color="#d1495b", lw=1, ls=":")
        axes.set(ylim=(0, None), xlim=(0, result.seconds), xlabel="video time (s)")
        axes.set_ylabel("change in 1 s: phi-score,\n10 s mean (target dotted)", color="#d1495b")
        axes.set_title(
            result.clip.replace("_", " ") if len(scenes) == 1 else "one stream of all clips"
        )
        axes.grid(visible=False)
        for begin, _ in scenes[1:]:
            axes.axvline(begin, color="#9aa5b1", lw=1)
        for begin, name in scenes if len(scenes) > 1 else []:
            axes.text(begin + 1, 0.02, name, rotation=90, va="bottom", color="#556677", fontsize=8)
        other = axes.twinx()
        other.step(seconds, rates, where="post", color="#2a7de1", lw=2.4)
        other.set(ylim=(0, 1.08))
        other.set_ylabel("samples per second", color="#2a7de1")
        other.spines["right"].set_visible(True)
        other.grid(visible=False)
    for axes in list(grid.flat)[len(drawn) :]:
        axes.set_visible(False)
    save(figure, context.out / "fig3.png")


def _smooth(values: np.ndarray, window: int) -> np.ndarray:
    """Mean of the last `window` values that are numbers."""
    smooth = np.full(len(values), np.nan)
    for i in range(len(values)):
        recent = values[max(0, i - window + 1) : i + 1]
        if not np.isnan(recent).all():
            smooth[i] = np.nanmean(recent)
    return smooth


# ---- figure 4 ----


def fig4(context: Context) -> None:
    """mIoU against downlink: AMS over T_update, Just-In-Time over its threshold."""
    points = [("ams", "update_interval_seconds", value) for value in UPDATE_INTERVALS_SECONDS]
    points += [("just_in_time", "threshold", value) for value in THRESHOLDS]
    jobs = [job for scheme, name, value in points for job in context.jobs(scheme, **{name: value})]
    results = iter(context.pool.run(jobs, title="fig4"))
    groups = [(point, [next(results) for _ in context.streams]) for point in points]
    rows = [
        row(result, parameter=name, value=value)
        for (_, name, value), group in groups
        for result in group
    ]
    write_report(
        context,
        "fig4",
        rows,
        {
            "means": [
                {"scheme": scheme, "parameter": name, "value": value, **means(group)}
                for (scheme, name, value), group in groups
            ]
        },
    )
    _draw_fig4(context, groups)


def _draw_fig4(context: Context, groups: Sequence[tuple]) -> None:
    plt = pyplot()
    figure, axes = plt.subplots(figsize=(10, 5.8), constrained_layout=True)
    for scheme, marker, text in (
        ("ams", "o", lambda v: f"{v:g} s"),
        ("just_in_time", "s", lambda v: f"{v:.0%}"),
    ):
        mine = [(value, group) for (name, _, value), group in groups if name == scheme]
        color = SCHEME_COLORS[scheme]
        for clip in range(len(context.streams)):
            line = [group[clip] for _, group in mine]
            axes.plot(
                [r.downlink_kbps for r in line], [r.miou for r in line],
                "-", color=color, alpha=0.2, lw=1,
            )  # fmt: skip
        x = [mean([r.downlink_kbps for r in group]) for _, group in mine]
        y = [mean([r.miou for r in group]) for _, group in mine]
        what = "T_update" if scheme == "ams" else "accuracy threshold"
        label = f"{SCHEME_NAMES[scheme]} (numbers: {what})"
        axes.plot(x, y, marker=marker, color=color, lw=2.8, ms=9, label=label, zorder=3)
        for (value, _), px, py in zip(mine, x, y, strict=True):
            axes.annotate(
                text(value), (px, py), xytext=(0, 11), textcoords="offset points", ha="center",
                color=color, fontweight="bold",
            )  # fmt: skip
    axes.set_xscale("log")
    axes.set(
        title="Accuracy against downlink (mean; each clip pale)",
        xlabel="downlink (Kbps, every byte)",
        ylabel="mIoU (%)",
    )
    axes.legend(loc="lower right")
    save(figure, context.out / "fig4.png")


# ---- figure 5 ----


def fig5(context: Context) -> None:
    """Distribution over frames of the gain over No Customization."""
    comparison = compare_schemes(context)
    plain = comparison.results["no_customization"]
    rows, curves, better = [], {}, {}
    for scheme, results in comparison.results.items():
        if scheme == "no_customization":
            continue
        gains = np.sort(frame_gains(results, plain))
        curves[scheme] = gains
        better[scheme] = round(float((gains > 0).mean()), 4)
        total = _pooled(results)
        for percent in range(101):
            gain = float(np.quantile(gains, percent / 100))
            line = row(total, miou_gain=round(gain, 3), fraction_of_frames=percent / 100)
            rows.append({**line, "scheme": scheme})
    write_report(
        context,
        "fig5",
        rows,
        {
            "frames": {scheme: len(gains) for scheme, gains in curves.items()},
            "fraction_of_frames_better": better,
            "just_in_time_thresholds": comparison.thresholds(),
        },
    )
    _draw_fig5(context, curves, better)


def frame_gains(results: Sequence[sim.RunResult], plain: Sequence[sim.RunResult]) -> np.ndarray:
    """For every scored frame of all clips its mIoU (of the last 10 s) minus that of the plain
    student."""
    gains = []
    for result, before in zip(results, plain, strict=True):
        for (time, sliding, _), (time_before, sliding_before, _) in zip(
            result.frames, before.frames, strict=True
        ):
            if time != time_before:
                raise ValueError(f"{result.scheme} on {result.clip} was scored at other times")
            if sliding is not None and sliding_before is not None:
                gains.append(sliding - sliding_before)
    return np.array(gains)


def _pooled(results: Sequence[sim.RunResult]) -> sim.RunResult:
    """All clips as one line: means with equal weights, sums of bytes, updates and seconds."""
    first = results[0]
    updates = sum(r.updates for r in results)
    total_bytes = sum(r.updates * r.update_bytes_mean for r in results)
    return sim.RunResult(
        scheme=first.scheme,
        clip=first.clip if len(results) == 1 else "all",
        seed=first.seed,
        miou=mean([r.miou for r in results]),
        miou_whole_video=mean([r.miou_whole_video for r in results]),
        seconds=sum(r.seconds for r in results),
        uplink_bytes=sum(r.uplink_bytes for r in results),
        downlink_bytes=sum(r.downlink_bytes for r in results),
        updates=updates,
        update_bytes_mean=total_bytes / updates if updates else 0.0,
    )


def _draw_fig5(context: Context, curves: dict[str, np.ndarray], better: dict[str, float]) -> None:
    plt = pyplot()
    figure, axes = plt.subplots(figsize=(9, 5.6), constrained_layout=True)
    axes.axvline(0, color="#1f2933", lw=1.2)
    for scheme, gains in curves.items():
        axes.plot(
            gains, np.arange(1, len(gains) + 1) / len(gains), color=SCHEME_COLORS[scheme],
            lw=3 if scheme == "ams" else 2,
            label=f"{SCHEME_NAMES[scheme]}: better in {better[scheme]:.0%} of frames",
        )  # fmt: skip
    everything = np.concatenate(list(curves.values()))
    low, high = np.quantile(everything, [0.005, 0.995])
    axes.set(
        title="Gain over No Customization, frame by frame",
        xlabel="mIoU gain (points, over the last 10 s)",
        ylabel="fraction of frames",
        xlim=(low - 2, high + 2),
        ylim=(0, 1),
    )
    axes.legend(loc="best")
    save(figure, context.out / "fig5.png")


# ---- figure 6 ----


def fig6(context: Context) -> None:
    """What sharing one accelerator costs: round robin, and with more time for dynamic videos."""
    jobs, points = [], []
    for scheduling in SCHEDULINGS:
        for devices in context.fig6_devices:
            for number, job in enumerate(context.jobs("ams", **_scheduling(scheduling))):
                jobs.append(_sharing(context, job, number, devices))
                points.append((scheduling, devices))
    of_one = context.jobs("ams")
    done = context.pool.run([*of_one, *jobs], title="fig6")  # together: all are checked first
    alone, results = done[: len(of_one)], done[len(of_one) :]
    rows, losses = [], {}
    for index, (point, result) in enumerate(zip(points, results, strict=True)):
        loss = alone[index % len(alone)].miou - result.miou
        losses.setdefault(point, []).append(loss)
        rows.append(row(result, devices=point[1], scheduling=point[0], miou_loss=round(loss, 3)))
    summary = [
        {"scheduling": scheduling, "devices": devices, "miou_loss": round(mean(values), 3)}
        for (scheduling, devices), values in losses.items()
    ]
    write_report(context, "fig6", rows, {"means": summary})
    _draw_fig6(context, losses)


def _scheduling(name: str) -> dict[str, object]:
    return {"adapt_training_rate": True} if name == "adaptive" else {}


def _sharing(context: Context, job: Job, number: int, devices: int) -> Job:
    """The job with devices - 1 others on its accelerator, which play the clips that come after its
    own."""
    if devices == 1:
        return job
    folders = [clip for stream in context.streams for clip in stream]
    others = tuple(folders[(number + 1 + i) % len(folders)] for i in range(devices - 1))
    return replace(job, other_devices=devices - 1, other_clips=others)


def _draw_fig6(context: Context, losses: dict[tuple[str, int], list[float]]) -> None:
    plt = pyplot()
    figure, axes = plt.subplots(figsize=(9, 5.4), constrained_layout=True)
    names = {
        "round_robin": ("round robin", "#d1495b", "o-"),
        "adaptive": ("more time for dynamic videos", "#2a7de1", "s--"),
    }
    for scheduling, (label, color, style) in names.items():
        devices = [d for s, d in losses if s == scheduling]
        values = [mean(losses[scheduling, d]) for d in devices]
        axes.plot(devices, values, style, color=color, lw=2.8, ms=8, label=label)
    axes.axhline(1, color="#1f2933", lw=1, ls=":")
    axes.axhline(0, color="#1f2933", lw=1)
    costs = context.costs
    phase = costs.training_seconds(context.ams["iterations"], context.ams["batch_size"], 0.0)
    axes.set(
        title="Devices that share one accelerator",
        xlabel=f"devices (phase: {phase:.1f} s, labels of a frame: {costs.teacher_seconds:g} s)",
        ylabel="mIoU loss to a device alone (points, mean)",
    )
    axes.set_xticks(context.fig6_devices)
    axes.invert_yaxis()
    axes.legend(loc="best")
    save(figure, context.out / "fig6.png")
