"""What every experiment writes: CSV, JSON and where it came from."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ams import sim
from ams.experiments.context import Context
from ams.experiments.environment import machine, versions
from ams.experiments.job import write_text

COLUMNS = (
    "clip",
    "scheme",
    "seed",
    "miou",
    "miou_whole_video",
    "uplink_kbps",
    "downlink_kbps",
    "updates",
    "update_bytes_mean",
    "seconds",
)
"""Columns of every CSV, after the experiment's own axes. mIoU in percent, Kbps of 1000 bits per
second of video;
seconds: length of the video."""

Row = dict[str, Any]


def row(result: sim.RunResult, **axes: Any) -> Row:
    """One line of a CSV: the axes, then COLUMNS."""
    return {
        **axes,
        "clip": result.clip,
        "scheme": result.scheme,
        "seed": result.seed,
        "miou": round(result.miou, 3),
        "miou_whole_video": round(result.miou_whole_video, 3),
        "uplink_kbps": round(result.uplink_kbps, 3),
        "downlink_kbps": round(result.downlink_kbps, 3),
        "updates": result.updates,
        "update_bytes_mean": round(result.update_bytes_mean, 1),
        "seconds": round(result.seconds, 3),
    }


def write_report(context: Context, name: str, rows: Sequence[Row], content: dict[str, Any]) -> None:
    """OUT/<name>.csv and OUT/<name>.json. content: what the experiment has to say besides its CSV,
    by name; all rows have the same columns."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(context.out / f"{name}.csv", text.getvalue())
    write_json(
        context.out / f"{name}.json",
        experiment=name,
        seed=context.seed,
        settings=context.settings,
        content=content,
    )


def write_json(
    path: Path, *, experiment: str, seed: int, settings: dict[str, Any], content: dict[str, Any]
) -> None:
    """content, with where it came from."""
    report = {
        "experiment": experiment,
        "command": ["python", "-m", "ams.experiments", *sys.argv[1:]],
        "seed": seed,
        "versions": versions(),
        "machine": machine(),
        "settings": settings,
        **content,
    }
    write_text(path, json.dumps(report, indent=1, default=str) + "\n")
