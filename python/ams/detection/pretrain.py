"""Trains a detector on rendered streets in fair weather: what is then adapted to other places.

python -m ams.detection.pretrain --out examples/data/street_centrenet.npz
"""

from __future__ import annotations

import argparse
import logging
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from .boxes import no_boxes
from .centre_net import CentreNet, save_network
from .drive import CLASSES, DriveFrame, drive
from .simulate import precision_of
from .task import DetectionTask

FIRST_STREET, FIRST_HELD_OUT_STREET = 1000, 1100
"""Seeds: those of no demo, test or table."""


def pretrain(
    network: torch.nn.Module,
    frames: Sequence[DriveFrame],
    task: DetectionTask,
    *,
    steps: int,
    batch_size: int = 8,
    learning_rate: float = 2e-3,
    seed: int = 1,
    on_step: Callable[[int, float], None] = lambda step, loss: None,
) -> None:
    """Trains all parameters, batch norm in training mode: AdamW, a cosine of the learning rate
    after 5% of rising, half of the pictures mirrored, brightness and contrast changed by up to
    20%. The network is in eval mode afterwards."""
    random = np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(network.parameters(), lr=learning_rate, weight_decay=1e-4)
    rise = max(1, steps // 20)
    network.train()
    for step in range(steps):
        share = (step + 1) / rise if step < rise else 0.0
        share = share or 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))
        optimizer.param_groups[0]["lr"] = learning_rate * share
        chosen = [
            _changed(frames[k], random)
            for k in random.choice(len(frames), min(batch_size, len(frames)), replace=False)
        ]
        inputs, labels = task.collate(chosen)
        loss = task.loss(network(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 10)
        optimizer.step()
        on_step(step, float(loss.detach()))
    network.eval()


def _changed(frame: DriveFrame, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    image, boxes = frame.image, frame.boxes
    if random.random() < 0.5:
        image, boxes = image[:, ::-1], boxes.copy()
        boxes[:, [0, 2]] = 1 - boxes[:, [2, 0]]
    gain, shift = 1 + random.uniform(-0.2, 0.2), random.uniform(-25, 25)
    return (image * gain + shift).clip(0, 255).astype(np.uint8), boxes


def main() -> None:
    """Renders, trains, reports the precision on streets that were held out, and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="where the network goes (.npz)")
    parser.add_argument("--streets", type=int, default=80, help="other towns (default 80)")
    parser.add_argument("--frames", type=int, default=16, help="of each street (default 16)")
    parser.add_argument("--steps", type=int, default=1500, help="training steps (default 1500)")
    parser.add_argument("--seed", type=int, default=1, help="of weights and order (default 1)")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)

    def streets(first: int, count: int) -> list[DriveFrame]:
        # Every 15 s one frame: neighbours show the same objects.
        return [
            frame
            for seed in tqdm(range(first, first + count), desc="render", unit="street")
            for frame in drive(
                seed=seed, seconds=15 * arguments.frames, fps=1 / 15, schedule="fair"
            )
        ]

    torch.manual_seed(arguments.seed)
    network = CentreNet(len(CLASSES))
    task = DetectionTask(CLASSES)
    frames = streets(FIRST_STREET, arguments.streets)
    with tqdm(total=arguments.steps, desc="pretrain", unit="step") as bar:

        def show(step: int, loss: float) -> None:
            bar.update(1)
            bar.set_postfix_str(f"loss {loss:.2f}", refresh=False)

        pretrain(network, frames, task, steps=arguments.steps, seed=arguments.seed, on_step=show)
    save_network(network, arguments.out)
    held_out = streets(FIRST_HELD_OUT_STREET, 4)
    summary = precision_of(network, held_out, task).summary()
    empty = sum(len(frame.boxes) == len(no_boxes()) for frame in held_out)
    logging.info(
        "%d frames of streets that were held out (%d without a box): AP50 %.1f, AP50-95 %.1f; "
        "wrote %s",
        len(held_out), empty, 100 * (summary.ap50 or 0), 100 * (summary.ap50_95 or 0),
        arguments.out,
    )  # fmt: skip


if __name__ == "__main__":
    main()
