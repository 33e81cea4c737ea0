"""Just-In-Time at AMS's accuracy (section 4.1)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ams import sim
from ams.experiments.job import Job, run_cached

THRESHOLDS = tuple(round(0.2 + 0.05 * i, 2) for i in range(15))
"""0.2 to 0.9: below the paper's 0.55 to 0.85 (figure 4), as short clips leave AMS less time, and
a threshold that is too high costs Just-In-Time bandwidth for accuracy that AMS does not have."""


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """The chosen run. probes: (threshold, mIoU in percent, downlink Kbps) of all that were looked
    at."""

    job: Job
    result: sim.RunResult
    threshold: float
    meets_target: bool
    probes: tuple[tuple[float, float, float], ...]


def tune_threshold(out: Path, job: Job, *, target_miou: float, tolerance: float) -> Tuned:
    """The threshold at which Just-In-Time is as accurate as AMS at the least downlink.

    target_miou: AMS's, percent; tolerance: percentage points that may be missing. Looks at
    thresholds by bisection, as accuracy grows with the threshold; of all probed the cheapest that
    meets the target, and where none does the most accurate. Every probe is a run that is kept.
    """
    results: dict[float, sim.RunResult] = {}

    def meets(threshold: float) -> bool:
        if threshold not in results:
            results[threshold] = run_cached(out, job.with_options(threshold=threshold))
        return results[threshold].miou >= target_miou - tolerance

    low, high = 0, len(THRESHOLDS) - 1
    while low < high:
        middle = (low + high) // 2
        if meets(THRESHOLDS[middle]):
            high = middle
        else:
            low = middle + 1
    meets(THRESHOLDS[low])
    good = [t for t in results if meets(t)]
    if good:
        chosen = min(good, key=lambda t: (results[t].downlink_bytes, t))
    else:
        chosen = max(results, key=lambda t: (results[t].miou, -t))
    return Tuned(
        job=job.with_options(threshold=chosen),
        result=results[chosen],
        threshold=chosen,
        meets_target=bool(good),
        probes=tuple((t, r.miou, r.downlink_kbps) for t, r in sorted(results.items())),
    )
