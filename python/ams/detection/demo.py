"""A server teaches a device to see people and cars on a rendered drive.

python -m ams.detection.demo --out out/detection

With --network an ams.Server in a process of its own teaches an ams.Device over TLS on loopback, in
the drive's own time; without, it is the same in virtual time. Writes report.json,
summary.png and annotated.mp4: the un-customised student on the left, the adapted one on the right.
`make demo DEMO_ARGS='--task detection'` runs it.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .drive import CLASSES, DriveFrame, drive
from .task import DetectionTask

if TYPE_CHECKING:
    from .simulate import DetectionRun

STREET_SEED = 7  # the shipped student has seen other towns alone (examples/data/README.md)
STUDENT = Path("examples", "data", "street_centrenet.npz")
SIZE = (192, 96)


def plot(adapted: DetectionRun, fixed: DetectionRun, path: Path) -> None:
    """The run at a glance: AP50 of both students, and when updates arrived."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(11, 4), constrained_layout=True)
    for seconds, _ in adapted.versions:
        axis.axvline(seconds, color="#2a7de1", alpha=0.25, lw=1)
    for result, colour, label in (
        (adapted, "#2a7de1", "adapted student"),
        (fixed, "#d1495b", "un-customised student"),
    ):
        rows = np.array([[np.nan if v is None else v for v in row] for row in result.frames])
        axis.plot(rows[:, 0], rows[:, 1], color=colour, lw=2.2, label=label)
    axis.set(xlabel="video time (s)", ylabel="AP50 over the last 10 s (%)", ylim=(0, 100))
    axis.set_title(
        f"People and cars: AP50 {adapted.ap50:.1f} with {adapted.downlink_kbps:.1f} Kbps down, "
        f"{fixed.ap50:.1f} without"
    )
    axis.legend(loc="lower left", ncols=2, frameon=False)
    figure.savefig(path, dpi=110)


def film(
    pictures: list[tuple[np.ndarray, np.ndarray]], path: Path, *, fps: float, scale: int = 2
) -> None:
    """Pairs of pictures, uint8 [H, W, 3], side by side."""
    from ams import video

    height, width = (scale * side for side in pictures[0][0].shape[:2])
    with video.VideoWriter(path, width=2 * width, height=height, fps=fps, preset="fast") as writer:
        for pair in pictures:
            writer.add(np.concatenate(pair, axis=1).repeat(scale, axis=0).repeat(scale, axis=1))


def main() -> None:
    """Plays the drive to both students, films and reports."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=150, help="of the drive (default 150)")
    parser.add_argument("--fps", type=float, default=2, help="frames a second (default 2)")
    parser.add_argument(
        "--schedule",
        default="0:industrial/rain",
        help="as ams.synthetic.Street (default 0:industrial/rain)",
    )
    parser.add_argument("--student", type=Path, default=STUDENT, help=f"(default {STUDENT})")
    parser.add_argument("--update-interval-seconds", type=float, default=5, help="(default 5)")
    parser.add_argument("--iterations", type=int, default=10, help="steps a phase (default 10)")
    parser.add_argument("--batch-size", type=int, default=4, help="pictures a step (default 4)")
    parser.add_argument("--learning-rate", type=float, default=2e-3, help="(default 2e-3)")
    parser.add_argument(
        "--network",
        action="store_true",
        help="a real server and a real device, in the drive's own time, not in virtual time",
    )
    parser.add_argument("--out", type=Path, default=Path("out", "detection"), help="results")
    arguments = parser.parse_args()
    if not arguments.student.is_file():
        parser.error(f"{arguments.student} is not there; python -m ams.detection.pretrain makes it")
    arguments.out.mkdir(parents=True, exist_ok=True)

    from ams import sim

    from .simulate import run
    from .student import CentreNet, load_network

    network = load_network(CentreNet(len(CLASSES)), arguments.student).eval()
    task = DetectionTask(CLASSES)
    print("Rendering a street drive with exact boxes ...", flush=True)
    frames = list(
        drive(
            seed=STREET_SEED,
            seconds=arguments.seconds,
            fps=arguments.fps,
            size=SIZE,
            schedule=arguments.schedule,
        )
    )
    shown: dict[str, list[np.ndarray]] = {"fixed": [], "adapted": []}
    print("Playing it without a server, and with one that adapts the student ...", flush=True)
    fixed = run(
        sim.NoCustomization(), frames, network, task,
        on_prediction=lambda frame, boxes: shown["fixed"].append(task.draw(frame.image, boxes)),
    )  # fmt: skip
    pace = {
        "update_interval_seconds": arguments.update_interval_seconds,
        "iterations": arguments.iterations,
        "batch_size": arguments.batch_size,
        "learning_rate": arguments.learning_rate,
    }

    def show(frame: DriveFrame, boxes: np.ndarray) -> None:
        shown["adapted"].append(task.draw(frame.image, boxes))

    if arguments.network:
        from .network import run_over_network

        adapted = run_over_network(frames, arguments.student, task, on_prediction=show, **pace)
    else:
        scheme = sim.AMS(first_batch_seconds=5, **pace)
        adapted = run(scheme, frames, network, task, with_statistics=True, on_prediction=show)
    film(
        list(zip(shown["fixed"], shown["adapted"], strict=True)),
        arguments.out / "annotated.mp4",
        fps=arguments.fps,
    )
    plot(adapted, fixed, arguments.out / "summary.png")
    report = {"adapted": asdict(adapted), "no_customization": asdict(fixed)}
    (arguments.out / "report.json").write_text(json.dumps(report, indent=1) + "\n")
    rows = [
        ("AP50 adapted / un-customised",
         f"{adapted.ap50:.1f} / {fixed.ap50:.1f} % ({adapted.ap50 - fixed.ap50:+.1f})"),
        ("AP50-95", f"{adapted.ap50_95:.1f} / {fixed.ap50_95:.1f} %"),
        ("downlink / uplink, every byte",
         f"{adapted.downlink_kbps:.1f} / {adapted.uplink_kbps:.1f} Kbps"),
        ("updates", f"{adapted.updates} of {adapted.update_bytes_mean / 1e3:.2f} kB"),
    ]  # fmt: skip
    if adapted.digests_equal is not None:
        same = "the same model" if adapted.digests_equal else "DIFFERENT MODELS"
        rows.append(("server and device hold", same))
    print()
    for name, value in rows:
        print(f"  {name:<30}  {value}")
    print(f"\n  Look at {arguments.out / 'summary.png'} and {arguments.out / 'annotated.mp4'}\n")


if __name__ == "__main__":
    main()
