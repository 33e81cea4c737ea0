"""How pictures look; what is in them stands with each experiment."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

SCHEME_NAMES = {
    "no_customization": "No Customization",
    "one_time": "One-Time",
    "remote_tracking": "Remote+Tracking",
    "just_in_time": "Just-In-Time",
    "ams": "AMS",
    "own": "libams",
}
SCHEME_COLORS = {
    "no_customization": "#9aa5b1",
    "one_time": "#edae49",
    "remote_tracking": "#00798c",
    "just_in_time": "#d1495b",
    "ams": "#2a7de1",
    "own": "#2e7d32",
}
SERIES_COLORS = ("#9aa5b1", "#edae49", "#00798c", "#d1495b", "#2a7de1", "#6a4c93")


def pyplot() -> Any:
    """matplotlib.pyplot without a display. Raises ImportError that says how to get it."""
    try:
        import matplotlib
    except ImportError as error:
        raise ImportError("pictures need matplotlib: pip install matplotlib") from error
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams.update(
        {
            "font.size": 11,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titleweight": "bold",
            "axes.titlelocation": "left",
            "axes.axisbelow": True,
            "axes.grid": True,
            "axes.grid.axis": "y",
            "grid.color": "#e4e7eb",
            "legend.frameon": False,
        }
    )
    return plt


def save(figure: Any, path: Path) -> None:
    """The whole PNG or none."""
    partial = path.with_name(path.name + ".partial")
    figure.savefig(partial, dpi=140, format="png")
    partial.replace(path)
    pyplot().close(figure)


def clip_labels(names: Sequence[str]) -> list[str]:
    """Names for an axis: in two lines where they are long."""
    return [
        name.replace("+", " +\n") if "+" in name else name.replace("_", "\n", 1) for name in names
    ]
