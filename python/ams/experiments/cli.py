"""The command line: python -m ams.experiments."""

from __future__ import annotations

import argparse
import logging
import math
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ams
from ams import sim
from ams.experiments.bandwidth import SERIES, bandwidth
from ams.experiments.context import BandwidthOptions, Context
from ams.experiments.environment import code_digest
from ams.experiments.figures import fig3, fig4, fig5, fig6
from ams.experiments.job import ClipFile, StudentFile
from ams.experiments.plots import pyplot
from ams.experiments.pool import Pool
from ams.experiments.pretrain import pretrain_command
from ams.experiments.tables import table1, table2, table3
from ams.sim.schemes.pictures import opencv

EXPERIMENTS = {
    "table1": table1,
    "table2": table2,
    "table3": table3,
    "fig3": fig3,
    "fig4": fig4,
    "fig5": fig5,
    "fig6": fig6,
    "bandwidth": bandwidth,
}
STUDENTS = ("edanet", "deeplabv3_mobilenetv2")
WITH_OPENCV = ("table1", "table2", "fig4", "fig5", "bandwidth")  # Remote+Tracking, Just-In-Time


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit codes: 0 done, 1 failed, 2 wrong arguments, 130 interrupted."""
    flags = _parser().parse_args(arguments)
    logging.basicConfig(
        level=logging.DEBUG if flags.verbose else logging.INFO, format="%(levelname)s: %(message)s"
    )
    try:
        if flags.experiment == "pretrain":
            _pretrain(flags)
        else:
            EXPERIMENTS[flags.experiment](_context(flags))
            written = sorted(str(path) for path in flags.out.glob(f"{flags.experiment}.*"))
            print("wrote " + ", ".join(written))
    except KeyboardInterrupt:
        print(
            f"interrupted; what is done stays in {flags.out}, and the same command goes on "
            "from there",
            file=sys.stderr,
        )
        return 130
    except (ams.Error, ValueError, OSError, ImportError, RuntimeError) as error:
        if flags.verbose:
            raise
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


class _Help(argparse.ArgumentDefaultsHelpFormatter):
    """Defaults where there are any."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default is None or action.default is False:
            return action.help
        return super()._get_help_string(action)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ams.experiments",
        description="Regenerates a table or figure of the paper on your clips, in virtual time. "
        "Writes OUT/<experiment>.csv, .json and .png; every run is kept in OUT/runs, so that "
        "experiments share them and an interrupted command goes on where it was.",
        formatter_class=_Help,
    )
    add = parser.add_argument
    add("experiment", choices=[*EXPERIMENTS, "pretrain"])
    add(
        "--clips",
        nargs="+",
        required=True,
        metavar="DIR",
        help="clip folders (video.mp4, labels.mkv, clip.json)",
    )
    add("--out", type=Path, required=True, metavar="DIR", help="where results go")
    add(
        "--student",
        default="edanet",
        help=f"one of {', '.join(STUDENTS)}, or a TorchScript file (.pt)",
    )
    add(
        "--weights",
        metavar="FILE",
        help="safetensors of the student; {clip} in it stands for the clip's name (checkpoints of "
        "`pretrain --leave-one-out`); default: "
        "$AMS_DATA_DIR/weights/<student>_cityscapes.safetensors",
    )
    add("--classes", type=_integer(1, 254), default=19, metavar="N", help="outputs of the student")
    add("--input", type=_size, default="256x128", metavar="WxH", help="the student's input size")
    add("--stream", action="store_true", help="all clips one after another as one stream")
    add("--max-seconds", type=_positive, metavar="S", help="use no more than this of each stream")
    add(
        "--start-up-seconds",
        type=_not_negative,
        default=0.0,
        metavar="S",
        help="scores before are left out (the paper: 250)",
    )
    add(
        "--jobs",
        type=_integer(1, 1024),
        default=os.cpu_count() or 1,
        metavar="N",
        help="runs at a time, one compute thread each",
    )
    add("--seed", type=_integer(0, 2**31), default=1, help="of everything random")
    add(
        "--device",
        help="where training computes: cpu, cuda, cuda:1; default: cuda if there is one, else cpu. "
        "One seed gives the same numbers on the CPU; on CUDA about the same",
    )
    add("--verbose", action="store_true", help="log more; errors with their traceback")

    training = parser.add_argument_group(
        "AMS and One-Time (the paper's settings unless said otherwise)"
    )
    add = training.add_argument
    add(
        "--learning-rate",
        type=_positive,
        default=2e-3,
        metavar="RATE",
        help="of Adam; the paper's is 1e-3, EDANet learns better at 2e-3",
    )
    add(
        "--gamma",
        type=_fraction,
        metavar="FRACTION",
        help="of the parameters that an update carries, AMS's and Just-In-Time's (default: 0.05)",
    )
    add(
        "--iterations",
        type=_integer(1, 10000),
        default=20,
        metavar="K",
        help="training steps a phase",
    )
    add("--batch-size", type=_integer(1, 4096), default=8, help="samples a training step")
    add("--update-interval-seconds", type=_positive, default=10.0, metavar="S", help="T_update")
    add("--horizon-seconds", type=_positive, default=240.0, metavar="S", help="T_horizon")
    add(
        "--first-batch-seconds",
        type=_positive,
        default=5.0,
        metavar="S",
        help="the first samples leave after",
    )
    add(
        "--uplink-target-kbps",
        type=_positive,
        default=200.0,
        metavar="KBPS",
        help="of the sample encoder",
    )
    add(
        "--profile",
        choices=ams.update_profile_names(),
        help="format of updates, of all schemes (default: compact with --downlink-kbps, else "
        "reference)",
    )
    add(
        "--strategy",
        choices=ams.selection_strategy_names(),
        metavar="NAME",
        help="what AMS trains and sends: one of "
        + ", ".join(ams.selection_strategy_names())
        + " (default: gradient_guided)",
    )
    add(
        "--normalization-multiplier",
        type=_positive,
        metavar="TIMES",
        help="of AMS's learning rate, for scales and shifts of normalisation layers (default: 5 "
        "with strategies that name them or a budget, else 1)",
    )
    add(
        "--downlink-kbps",
        type=_positive,
        metavar="KBPS",
        help="what AMS may send on the mean of a minute; strategy and gamma are then the session's "
        "own choice",
    )

    add = parser.add_argument_group("Remote+Tracking").add_argument
    add(
        "--flow-size",
        type=_size,
        default="1024x512",
        metavar="WxH",
        help="of pictures for optical flow",
    )
    add(
        "--flow-every-frame",
        action="store_true",
        help="flow between all frames, not only the scored ones: several times the work",
    )

    jit = parser.add_argument_group("Just-In-Time")
    add = jit.add_argument
    add(
        "--jit-learning-rate",
        type=_positive,
        default=0.01,
        metavar="RATE",
        help="of SGD with momentum 0.9",
    )
    add(
        "--jit-tolerance",
        type=_not_negative,
        default=0.5,
        metavar="POINTS",
        help="of mIoU that it may stay below AMS when its threshold is tuned",
    )

    world = parser.add_argument_group("Virtual time: the link and what work costs")
    add = world.add_argument
    add(
        "--link-up-kbps",
        type=_positive,
        default=sim.Link().uplink_bps / 1000,
        metavar="KBPS",
        help="capacity of the link",
    )
    add(
        "--link-down-kbps",
        type=_positive,
        default=sim.Link().downlink_bps / 1000,
        metavar="KBPS",
        help="capacity of the link",
    )
    add(
        "--delay-seconds",
        type=_not_negative,
        default=sim.Link().delay_seconds,
        metavar="S",
        help="one way",
    )
    add(
        "--teacher-seconds",
        type=_not_negative,
        default=sim.Costs().teacher_seconds,
        metavar="S",
        help="to label one frame",
    )
    add(
        "--iteration-seconds",
        type=_not_negative,
        default=sim.Costs().iteration_seconds,
        metavar="S",
        help="of a training step, besides",
    )
    add(
        "--iteration-sample-seconds",
        type=_not_negative,
        default=sim.Costs().iteration_sample_seconds,
        metavar="S",
        help="for each of its samples",
    )
    add(
        "--measured",
        action="store_true",
        help="training and encoding take as long as they do here, so that results depend on the "
        "machine",
    )

    add = parser.add_argument_group("fig6").add_argument
    add(
        "--devices",
        type=_integer(1, 1000),
        nargs="+",
        default=[1, 2, 4, 6, 8, 10, 12],
        metavar="N",
        help="devices that share one accelerator",
    )

    add = parser.add_argument_group("bandwidth").add_argument
    add(
        "--series",
        nargs="+",
        choices=SERIES,
        default=list(SERIES),
        metavar="NAME",
        help="curves: strategies and schemes, of " + ", ".join(SERIES),
    )
    add(
        "--budgets-kbps",
        nargs="+",
        type=_positive,
        default=[1.0, 2.0, 5.0, 10.0, 50.0],
        metavar="KBPS",
        help="downlink budgets of the series `budget`",
    )
    add(
        "--learning-rate-factors",
        nargs="+",
        type=_positive,
        default=[0.5, 1.0, 2.0],
        metavar="TIMES",
        help="each point is run with --learning-rate (--jit-learning-rate) times these, and the "
        "best on the mean of the clips is taken",
    )
    add(
        "--seeds",
        type=_integer(1, 100),
        default=3,
        metavar="N",
        help="runs of each point: --seed, --seed + 1, ...",
    )

    add = parser.add_argument_group("pretrain").add_argument
    add("--steps", type=_integer(1, 10**7), default=3000, help="training steps")
    add(
        "--pretrain-learning-rate",
        type=_positive,
        default=1e-3,
        metavar="RATE",
        help="at the start; it falls to 0",
    )
    add(
        "--leave-one-out",
        action="store_true",
        help="one checkpoint for each clip, trained on all others",
    )
    return parser


def _context(flags: argparse.Namespace) -> Context:
    # What is missing shows before hours of runs, not after.
    pyplot()
    if flags.experiment in WITH_OPENCV:
        opencv()
    has_budget = flags.downlink_kbps is not None
    for name in ("strategy", "gamma"):
        if has_budget and getattr(flags, name) is not None:
            raise ValueError(
                f"--{name} and --downlink-kbps exclude each other: with a budget the session "
                "chooses what to train"
            )
    if has_budget and flags.profile == "reference":
        raise ValueError("--downlink-kbps goes with --profile compact, in which it writes")
    gamma = flags.gamma or 0.05
    profile = flags.profile or ("compact" if has_budget else "reference")
    clips = [ClipFile.open(folder) for folder in flags.clips]
    _distinct_names(clips)
    streams = (tuple(clips),) if flags.stream else tuple((clip,) for clip in clips)
    pattern = flags.weights or _default_weights(flags.student)
    students = tuple(
        _student(flags, pattern, "+".join(c.identity.name for c in stream)) for stream in streams
    )
    codec = {"target_bps": flags.uplink_target_kbps * 1000}
    training = {
        "learning_rate": flags.learning_rate,
        "batch_size": flags.batch_size,
        "profile": profile,
        "codec": codec,
    }
    return Context(
        out=flags.out,
        pool=Pool(flags.out, jobs=flags.jobs),
        streams=streams,
        students=students,
        seed=flags.seed,
        device=flags.device or _default_device(),
        max_seconds=flags.max_seconds,
        start_up_seconds=flags.start_up_seconds,
        link=sim.Link(
            uplink_bps=flags.link_up_kbps * 1000,
            downlink_bps=flags.link_down_kbps * 1000,
            delay_seconds=flags.delay_seconds,
        ),
        costs=sim.Costs(
            teacher_seconds=flags.teacher_seconds,
            iteration_seconds=flags.iteration_seconds,
            iteration_sample_seconds=flags.iteration_sample_seconds,
            measured=flags.measured,
        ),
        ams={
            **training,
            "gamma": gamma,
            "strategy": flags.strategy or "gradient_guided",
            "downlink_budget_bps": flags.downlink_kbps and flags.downlink_kbps * 1000,
            "iterations": flags.iterations,
            "update_interval_seconds": flags.update_interval_seconds,
            "horizon_seconds": flags.horizon_seconds,
            "first_batch_seconds": flags.first_batch_seconds,
        },
        normalization_multiplier=flags.normalization_multiplier,
        # As many steps as AMS makes in a minute.
        one_time={
            **training,
            "iterations": max(1, round(60 / flags.update_interval_seconds * flags.iterations)),
        },
        remote_tracking={
            "flow_width": flags.flow_size[0],
            "flow_height": flags.flow_size[1],
            "flow_every_frame": flags.flow_every_frame,
        },
        just_in_time={
            "learning_rate": flags.jit_learning_rate,
            "gamma": gamma,
            "profile": profile,
        },
        jit_tolerance=flags.jit_tolerance,
        fig6_devices=tuple(sorted(set(flags.devices))),
        bandwidth=BandwidthOptions(
            series=tuple(flags.series),
            budgets_kbps=tuple(sorted(set(flags.budgets_kbps))),
            learning_rate_factors=tuple(sorted(set(flags.learning_rate_factors))),
            seeds=tuple(flags.seed + i for i in range(flags.seeds)),
        ),
        settings={
            **_settings(flags),
            "device": flags.device or _default_device(),
            "profile": profile,
            "weights": [Path(student.weights).name for student in students],
            "student_digests": [student.digest for student in students],
            "code": code_digest(),
        },
    )


def _student(flags: argparse.Namespace, pattern: str, clip_name: str) -> StudentFile:
    if flags.student not in STUDENTS and not flags.student.endswith(".pt"):
        raise ValueError(
            f"--student is '{flags.student}'; it must be one of {', '.join(STUDENTS)}, or a "
            "TorchScript file (.pt)"
        )
    weights = pattern.replace("{clip}", clip_name)
    if weights and not Path(weights).is_file():
        raise ValueError(
            f"the student's weights {weights} are not there; name a safetensors file with "
            "--weights, or make one with `pretrain`"
        )
    width, height = flags.input
    return StudentFile.open(
        network=flags.student,
        weights=weights,
        num_classes=flags.classes,
        width=width,
        height=height,
    )


def _default_device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _default_weights(student: str) -> str:
    if student.endswith(".pt"):
        return ""  # a TorchScript file brings its own
    data = os.environ.get("AMS_DATA_DIR")
    if not data:
        raise ValueError(
            "--weights is not given, and AMS_DATA_DIR, a folder whose weights/ holds "
            f"{student}_cityscapes.safetensors, is not set; `pretrain` makes weights"
        )
    return str(Path(data) / "weights" / f"{student}_cityscapes.safetensors")


def _pretrain(flags: argparse.Namespace) -> None:
    defaults = _parser().parse_args(["pretrain", "--clips", "", "--out", ""])
    for name, instead in (
        ("device", "it computes on the CPU"),
        ("learning_rate", "name --pretrain-learning-rate"),
    ):
        if getattr(flags, name) != getattr(defaults, name):
            raise ValueError(f"pretrain takes no --{name.replace('_', '-')}: {instead}")
    clips = [ClipFile.open(folder) for folder in flags.clips]
    _distinct_names(clips)
    if flags.leave_one_out and len(clips) < 2:
        raise ValueError("--leave-one-out needs at least two clips")
    from ams.torch import set_compute_threads

    set_compute_threads(flags.jobs)
    width, height = flags.input
    written = pretrain_command(
        clips,
        flags.out,
        leave_one_out=flags.leave_one_out,
        settings=_settings(flags),
        seed=flags.seed,
        student=_student(flags, flags.weights or "", ""),
        steps=flags.steps,
        batch_size=flags.batch_size,
        learning_rate=flags.pretrain_learning_rate,
        max_seconds=flags.max_seconds,
    )
    print("wrote " + ", ".join(str(path) for path in written))


def _settings(flags: argparse.Namespace) -> dict[str, Any]:
    return {name: str(v) if isinstance(v, Path) else v for name, v in vars(flags).items()}


def _distinct_names(clips: Sequence[ClipFile]) -> None:
    names = [clip.identity.name for clip in clips]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two clips are called {name}; results go by name")


def _integer(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from {low} to {high}")
        return value

    return parse


def _number(text: str, what: str, holds: Callable[[float], bool]) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and holds(value)):
        raise argparse.ArgumentTypeError(f"'{text}' is not {what}")
    return value


def _positive(text: str) -> float:
    return _number(text, "a number above 0", lambda v: v > 0)


def _not_negative(text: str) -> float:
    return _number(text, "a number of 0 or more", lambda v: v >= 0)


def _fraction(text: str) -> float:
    return _number(text, "a fraction above 0, at most 1", lambda v: 0 < v <= 1)


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit()):
        raise argparse.ArgumentTypeError(f"'{text}' is not WIDTHxHEIGHT, such as 256x128")
    return int(width), int(height)
