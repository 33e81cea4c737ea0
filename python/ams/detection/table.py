"""The paper's schemes on detection: a table of rendered drives, in virtual time.

python -m ams.detection.table --student examples/data/street_centrenet.npz --threads 1
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from .drive import CLASSES, drive

if TYPE_CHECKING:
    from .simulate import DetectionRun

SCENES = ("downtown/dusk", "industrial/rain", "boulevard/night")
"""District and weather of each drive: none is like what the student was trained on."""


def schemes() -> dict[str, Callable[[], Any]]:
    """What makes each row's scheme, by the row's name; `with statistics`: those of batch norm are
    trained and sent."""
    from ams import sim

    common = {
        "update_interval_seconds": 10,
        "iterations": 20,
        "batch_size": 4,
        "first_batch_seconds": 5,
    }
    guided = {"strategy": "gradient_guided", "gamma": 0.2, "learning_rate": 1e-3}
    return {
        "no customisation": sim.NoCustomization,
        "one-time": sim.OneTime,
        "AMS, the paper's settings": lambda: sim.AMS(**sim.paper_settings()),
        "AMS, normalisation and head": lambda: sim.AMS(learning_rate=2e-3, **common),
        "AMS, normalisation with statistics, head": lambda: sim.AMS(learning_rate=2e-3, **common),
        "AMS, gradient-guided 20%": lambda: sim.AMS(**guided, **common),
        "AMS, whole model": lambda: sim.AMS(strategy="full", learning_rate=2e-3, **common),
    }


def table(runs: dict[str, Sequence[DetectionRun]], drives: Sequence[str]) -> str:
    """Markdown: each scheme's runs, one for each drive, and their means."""
    columns = ["scheme", "AP50", *drives, "AP50-95", "down, Kbps", "up, Kbps", "updates"]
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for name, of_drives in runs.items():

        def mean(field: str, of_drives: Sequence[DetectionRun] = of_drives) -> float:
            return float(np.mean([getattr(result, field) for result in of_drives]))

        cells = [
            name,
            f"{mean('ap50'):.1f}",
            *(f"{result.ap50:.1f}" for result in of_drives),
            *(f"{mean(field):.1f}" for field in ("ap50_95", "downlink_kbps", "uplink_kbps")),
            f"{mean('updates'):.0f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Renders the drives, plays each scheme on each, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--student", type=Path, required=True, help="as ams.detection.pretrain")
    parser.add_argument(
        "--scenes", nargs="+", default=SCENES, help=f"one for each drive ({' '.join(SCENES)})"
    )
    parser.add_argument("--street-seed", type=int, default=7, help="the town (default 7)")
    parser.add_argument("--seconds", type=float, default=200, help="of a drive (default 200)")
    parser.add_argument("--fps", type=float, default=1, help="frames a second (default 1)")
    parser.add_argument("--only", nargs="+", choices=sorted(schemes()), help="these rows alone")
    parser.add_argument("--threads", type=int, default=0, help="of torch; 0: torch's own choice")
    parser.add_argument("--json", type=Path, help="all figures go there")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)

    import torch

    from .centre_net import CentreNet, load_network
    from .simulate import run
    from .task import DetectionTask

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    network = load_network(CentreNet(len(CLASSES)), arguments.student).eval()
    task = DetectionTask(CLASSES)
    chosen = {n: m for n, m in schemes().items() if not arguments.only or n in arguments.only}
    runs: dict[str, list[DetectionRun]] = {name: [] for name in chosen}
    options = {"seconds": arguments.seconds, "fps": arguments.fps, "seed": arguments.street_seed}
    for scene in arguments.scenes:
        frames = list(drive(schedule=f"0:{scene}", **options))
        for name, make in chosen.items():
            result = run(
                make(), frames, network, task, with_statistics="with statistics" in name
            )
            runs[name].append(result)
            logging.info("%s, %s: AP50 %.1f, %.1f Kbps", scene, name, result.ap50,
                         result.downlink_kbps)  # fmt: skip
    print(table(runs, arguments.scenes))
    if arguments.json:
        plain = {name: [asdict(result) for result in of_drives] for name, of_drives in runs.items()}
        arguments.json.write_text(json.dumps(plain))


if __name__ == "__main__":
    main()
