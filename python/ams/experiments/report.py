"""What every experiment writes: CSV, JSON and where it came from."""

from __future__ import annotations

import csv
import io
import json
import os
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import ams
from ams import sim
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


def write_csv(path: Path, rows: Sequence[Row]) -> None:
    """The whole file or none. All rows have the same columns."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def write_json(
    path: Path, *, experiment: str, seed: int, settings: dict[str, Any], content: dict[str, Any]
) -> None:
    """content: what the experiment has to say besides its CSV, by name."""
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


def versions() -> dict[str, str | None]:
    """Of what results may depend on; None where it is not there."""
    found: dict[str, str | None] = {"ams": ams.__version__, "python": platform.python_version()}
    for name in ("torch", "numpy", "opencv-python-headless", "matplotlib"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def machine() -> dict[str, Any]:
    """The kind of machine, nothing that names it."""
    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count(),
    }


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass  # not Linux
    return platform.processor()
