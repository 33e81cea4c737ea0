"""What the command line takes: every flag of python -m ams.experiments, its range and its help."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import ams
from ams import sim
from ams.experiments.bandwidth import SERIES, Curve
from ams.experiments.pace import ROWS as PACE_ROWS

ROLES = {
    "weight": "weights",
    "normalization": "scales and shifts of normalisation layers",
    "head": "the last layer",
}
STUDENTS = ("edanet", "deeplabv3_mobilenetv2")


def make_parser(experiments: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ams.experiments",
        description="Regenerates a table or figure of the paper on your clips, in virtual time. "
        "Writes OUT/<experiment>.csv, .json and .png; every run is kept in OUT/runs, so that "
        "experiments share them and an interrupted command goes on where it was.",
        formatter_class=_Help,
    )
    add = parser.add_argument
    add("experiment", choices=experiments)
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
    add("--max-seconds", type=_positive, metavar="S", help="play so much of each stream")
    add(
        "--start-up-seconds",
        type=_not_negative,
        default=0.0,
        metavar="S",
        help="leave out scores before this time (the paper: 250)",
    )
    add(
        "--jobs",
        type=_integer(1, 1024),
        default=os.cpu_count() or 1,
        metavar="N",
        help="runs at the same time, one compute thread each",
    )
    add("--seed", type=_integer(0, 2**31), default=1, help="seed of everything random")
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
        help="Adam's alpha for the whole model (the paper: 1e-3); the factors below raise it for "
        "what a strategy trains",
    )
    add(
        "--learning-rates-by-size",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="smaller rates for weights with small values, so that one learning rate suits most "
        "students; the paper has none",
    )
    add(
        "--gamma",
        type=_fraction,
        metavar="FRACTION",
        help="fraction of the parameters in an update of AMS and Just-In-Time (default: 0.05)",
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
        "--buffer-samples",
        type=_integer(4, 2**31),
        default=4096,
        metavar="N",
        help="AMS trains on the newest N samples of T_horizon (the paper: all; ams-server: 60, "
        "better where the scene changes)",
    )
    add(
        "--first-batch-seconds",
        type=_positive,
        default=5.0,
        metavar="S",
        help="send the first samples after S seconds",
    )
    add(
        "--uplink-target-kbps",
        type=_positive,
        metavar="KBPS",
        help="bitrate of the samples (default: 200; libams with its default settings: 100)",
    )
    add(
        "--teacher",
        metavar="NETWORK[:WEIGHTS]",
        help="a network that labels what AMS's server decodes, fddwnet:FILE or a file (.pt, .pt2), "
        "kept in OUT/teacher; default: the clips' own labels stand for it",
    )
    add("--teacher-input", type=_size, default="1024x512", metavar="WxH", help="the teacher's size")
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
    for role, what in ROLES.items():
        add(
            f"--learning-rate-{role}",
            type=_multiplier,
            metavar="TIMES",
            help=f"AMS: factor of --learning-rate for {what} (default: "
            "ams.recommended_multipliers(); with a budget of the rates that the budget chooses)",
        )
    add(
        "--relative-step",
        type=_step,
        metavar="TIMES",
        help="AMS, profile compact: step, in root mean squares of the changes (default: 1; a "
        "budget chooses its own)",
    )
    add(
        "--relative-step-weight",
        type=_step,
        metavar="TIMES",
        help="AMS, profile compact: factor of the step for weights (default: 1; a budget chooses "
        "its own)",
    )
    add(
        "--downlink-kbps",
        type=_positive,
        metavar="KBPS",
        help="limit of AMS's downlink, over a minute; libams then chooses strategy and gamma",
    )
    add(
        "--downlink-link-kbps",
        type=_positive,
        metavar="KBPS",
        help="with a budget (--downlink-kbps, or bandwidth's --budgets-kbps): speed of the link; "
        "no update takes longer than one T_update (default: four times the budget)",
    )

    add = parser.add_argument_group("Remote+Tracking").add_argument
    add(
        "--flow-size",
        type=_size,
        default="1024x512",
        metavar="WxH",
        help="size of the pictures for optical flow",
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
        help="learning rate of SGD with momentum 0.9",
    )
    add(
        "--jit-tolerance",
        type=_not_negative,
        default=0.5,
        metavar="POINTS",
        help="points of mIoU below AMS that tuning the threshold accepts",
    )

    world = parser.add_argument_group("Virtual time: the link and what work costs")
    add = world.add_argument
    add(
        "--link-up-kbps",
        type=_positive,
        default=sim.Link().uplink_bps / 1000,
        metavar="KBPS",
        help="capacity of the link up",
    )
    add(
        "--link-down-kbps",
        type=_positive,
        default=sim.Link().downlink_bps / 1000,
        metavar="KBPS",
        help="capacity of the link down",
    )
    add(
        "--delay-seconds",
        type=_not_negative,
        default=sim.Link().delay_seconds,
        metavar="S",
        help="delay of the link, one way",
    )
    add(
        "--teacher-seconds",
        type=_not_negative,
        default=sim.Costs().teacher_seconds,
        metavar="S",
        help="time to label a frame",
    )
    add(
        "--iteration-seconds",
        type=_not_negative,
        default=sim.Costs().iteration_seconds,
        metavar="S",
        help="time of a training step, without its samples",
    )
    add(
        "--iteration-sample-seconds",
        type=_not_negative,
        default=sim.Costs().iteration_sample_seconds,
        metavar="S",
        help="time of a training step for each sample",
    )
    add(
        "--measured",
        action="store_true",
        help="use the real time of training and encoding on this machine",
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
        type=_curve,
        default=list(SERIES),
        metavar="NAME[@VALUE][/PROFILE]",
        help="curves: strategies and schemes, of " + ", ".join(SERIES) + "; all their fractions or "
        "thresholds unless @VALUE names one, in both profiles unless one is named: "
        "gradient_guided@0.05/reference is the paper's",
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
        help="run each point with --learning-rate (--jit-learning-rate) times these; take the best "
        "on the mean of the clips",
    )
    add(
        "--seeds",
        type=_integer(1, 100),
        default=4,
        metavar="N",
        help="runs of each row (pace) or point (bandwidth), with --seed, --seed + 1, ... "
        "bandwidth: --seed chooses the learning rate; the others give means and deviations",
    )

    add = parser.add_argument_group("pace").add_argument
    add(
        "--rows",
        nargs="+",
        choices=PACE_ROWS,
        default=list(PACE_ROWS),
        metavar="NAME",
        help="what to run: " + ", ".join(PACE_ROWS),
    )

    add = parser.add_argument_group("pretrain").add_argument
    add("--steps", type=_integer(1, 10**7), default=3000, help="training steps")
    add(
        "--pretrain-learning-rate",
        type=_positive,
        default=1e-3,
        metavar="RATE",
        help="learning rate at the start; it falls to 0",
    )
    add(
        "--leave-one-out",
        action="store_true",
        help="one checkpoint for each clip, trained on all others",
    )
    return parser


def _curve(text: str) -> str:
    try:
        Curve.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


class _Help(argparse.ArgumentDefaultsHelpFormatter):
    """Defaults where there are any."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default is None or action.default is False:
            return action.help
        return super()._get_help_string(action)


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


def _multiplier(text: str) -> float:
    return _number(text, "a number above 0, up to 1e6", lambda v: 0 < v <= 1e6)


def _step(text: str) -> float:
    return _number(text, "a number from 2^-20 to 2^20", lambda v: 2**-20 <= v <= 2**20)


def _not_negative(text: str) -> float:
    return _number(text, "a number of 0 or more", lambda v: v >= 0)


def _fraction(text: str) -> float:
    return _number(text, "a fraction above 0, at most 1", lambda v: 0 < v <= 1)


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not all(side.isdecimal() and 1 <= int(side) <= 65535 for side in (width, height)):
        raise argparse.ArgumentTypeError(
            f"'{text}' is not WIDTHxHEIGHT, such as 256x128, each from 1 to 65535"
        )
    return int(width), int(height)
