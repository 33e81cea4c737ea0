"""The paper's schemes on detection: a table of rendered drives, in virtual time.

python -m ams.detection.table --student examples/data/street_centrenet.npz
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
from tqdm import tqdm

from .drive import CLASSES, drive

if TYPE_CHECKING:
    from .simulate import DetectionRun

LEARNING_RATE = 2e-3


def schemes() -> dict[str, Callable[[], Any]]:
    """What makes each row's scheme, by the row's name."""
    from ams import sim

    common = {"update_interval_seconds": 5, "iterations": 10, "first_batch_seconds": 5}
    return {
        "no customisation": sim.NoCustomization,
        "one-time": lambda: sim.OneTime(learning_rate=LEARNING_RATE),
        "AMS, the paper's settings": lambda: sim.AMS(**sim.paper_settings()),
        "AMS, gradient-guided 5%": lambda: sim.AMS(
            strategy="gradient_guided", gamma=0.05, learning_rate=LEARNING_RATE, **common
        ),
        "AMS, as recommended": lambda: sim.AMS(learning_rate=LEARNING_RATE, **common),
        "AMS, whole model": lambda: sim.AMS(
            strategy="full", learning_rate=LEARNING_RATE, **common
        ),
    }


def table(runs: dict[str, Sequence[DetectionRun]]) -> str:
    """Markdown, means over drives."""
    lines = [
        "| scheme | AP50 | AP50-95 | AP50 person | AP50 car | down, Kbps | up, Kbps | updates |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, of_drives in runs.items():

        def mean(value: Callable[[DetectionRun], float | None], drives: Any = of_drives) -> float:
            return float(np.mean([v for v in map(value, drives) if v is not None]))

        cells = [
            f"{mean(lambda r: r.ap50):.1f}",
            f"{mean(lambda r: r.ap50_95):.1f}",
            *(f"{mean(lambda r, c=c: r.ap50_of_classes[c]):.1f}" for c in range(len(CLASSES))),
            f"{mean(lambda r: r.downlink_kbps):.1f}",
            f"{mean(lambda r: r.uplink_kbps):.1f}",
            f"{mean(lambda r: r.updates):.0f}",
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Renders the drives, plays each scheme on each, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--student", type=Path, required=True, help="as ams.detection.pretrain")
    parser.add_argument("--drives", type=int, nargs="+", default=[7], help="seeds (default 7)")
    parser.add_argument("--seconds", type=float, default=150, help="of a drive (default 150)")
    parser.add_argument("--fps", type=float, default=2, help="frames a second (default 2)")
    parser.add_argument("--schedule", default="demo", help="as ams.synthetic.Street (demo)")
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
    for seed in arguments.drives:
        options = {"seconds": arguments.seconds, "fps": arguments.fps}
        frames = list(
            tqdm(drive(seed=seed, schedule=arguments.schedule, **options), desc=f"render {seed}")
        )
        for name, make in chosen.items():
            result = run(make(), frames, network, task)
            runs[name].append(result)
            logging.info(
                "drive %d, %s: AP50 %.1f, %.1f Kbps", seed, name, result.ap50, result.downlink_kbps
            )
    print(table(runs))
    if arguments.json:
        plain = {name: [asdict(result) for result in of_drives] for name, of_drives in runs.items()}
        arguments.json.write_text(json.dumps(plain))


if __name__ == "__main__":
    main()
