"""The command: python -m ams.experiments."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ams
from ams import sim
from ams.experiments.bandwidth import bandwidth
from ams.experiments.context import BandwidthOptions, Context
from ams.experiments.environment import code_digest
from ams.experiments.figures import fig3, fig4, fig5, fig6
from ams.experiments.flags import ROLES, STUDENTS, make_parser
from ams.experiments.job import ClipFile, StudentFile
from ams.experiments.pace import pace
from ams.experiments.plots import pyplot
from ams.experiments.pool import Pool
from ams.experiments.pretrain import pretrain_command
from ams.experiments.tables import table1, table2, table3
from ams.experiments.unused_flags import refuse_unused, uses
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
    "pace": pace,
}
COMMANDS = (*EXPERIMENTS, "pretrain")
WITH_OPENCV = ("table1", "table2", "fig4", "fig5", "bandwidth")  # Remote+Tracking, Just-In-Time


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit codes: 0 done, 1 failed, 2 wrong arguments, 130 interrupted."""
    parser = make_parser(COMMANDS)
    flags = parser.parse_args(arguments)
    logging.basicConfig(
        level=logging.DEBUG if flags.verbose else logging.INFO, format="%(levelname)s: %(message)s"
    )
    try:
        refuse_unused(flags, parser)
        _check_out(flags.out)
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


def _check_out(out: Path) -> None:
    """It is made only when there is something to write."""
    there = next(path for path in (out, *out.absolute().parents) if path.exists())
    if not there.is_dir():
        raise ValueError(f"--out '{out}' cannot be made a folder: '{there}' is a file")
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise ValueError(f"--out '{out}': nothing can be written to '{there}': {error}") from error


def _context(flags: argparse.Namespace) -> Context:
    # What is missing shows before hours of runs, not after.
    pyplot()
    if flags.experiment in WITH_OPENCV:
        opencv()
    _check_student(flags)
    has_budget = flags.downlink_kbps is not None
    runs_budgets = flags.experiment == "bandwidth" and "budget" in flags.series
    if flags.downlink_link_kbps is not None and not (has_budget or runs_budgets):
        raise ValueError("--downlink-link-kbps is for a budget, and none is run")
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
    _check_classes(streams, flags.classes)
    _check_start_up(streams, flags)
    codec = {"target_bps": (flags.uplink_target_kbps or 200) * 1000}
    training = {
        "learning_rate": flags.learning_rate,
        "learning_rates_by_size": flags.learning_rates_by_size,
        "batch_size": flags.batch_size,
        "profile": profile,
        "codec": codec,
    }
    paper = sim.paper_settings()
    paper_step = paper.pop("relative_step")  # of profile compact alone
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
            **paper,
            **training,
            "gamma": gamma,
            "strategy": flags.strategy or "gradient_guided",
            "downlink_budget_bps": flags.downlink_kbps and flags.downlink_kbps * 1000,
            "downlink_link_bps": (flags.downlink_link_kbps or 0) * 1000,
            "iterations": flags.iterations,
            "update_interval_seconds": flags.update_interval_seconds,
            "horizon_seconds": flags.horizon_seconds,
            "buffer_samples": flags.buffer_samples,
            "first_batch_seconds": flags.first_batch_seconds,
        },
        own={
            "strategy": "normalization_and_head",
            "gamma": 1.0,
            "profile": "compact",
            "relative_step": sim.AMS().relative_step,
            "downlink_budget_bps": None,
            "downlink_link_bps": 0,
            "codec": {"target_bps": (flags.uplink_target_kbps or 100) * 1000},
        },
        teacher=_teacher(flags),
        multipliers={
            f"{role}_multiplier": getattr(flags, f"learning_rate_{role}")
            for role in ROLES
            if getattr(flags, f"learning_rate_{role}") is not None
        },
        steps={
            name: value
            for name, value in (
                ("relative_step", flags.relative_step or paper_step),
                ("weight_step_multiplier", flags.relative_step_weight),
            )
            if value is not None
        },
        # As many steps as AMS makes in a minute, or as a phase may have.
        one_time={
            **training,
            "iterations": min(
                10_000, max(1, round(60 / flags.update_interval_seconds * flags.iterations))
            ),
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
        pace_rows=tuple(flags.rows),
        settings={
            **_settings(flags),
            "device": flags.device or _default_device(),
            "profile": profile,
            "strategy": None
            if has_budget or not uses(flags, "strategy")
            else flags.strategy or "gradient_guided",
            "gamma": gamma if uses(flags, "gamma") else None,
            "weights": [Path(student.weights).name for student in students],
            "student_digests": [student.digest for student in students],
            "code": code_digest(),
        },
    )


def _teacher(flags: argparse.Namespace) -> sim.Teacher | None:
    if not flags.teacher:
        return None
    network, _, weights = flags.teacher.partition(":")
    if not Path(weights or network).is_file():
        raise ValueError(f"--teacher: there is no file '{weights or network}'")
    width, height = flags.teacher_input
    teacher = sim.Teacher(
        network=network,
        weights=weights,
        num_classes=flags.classes,
        input_width=width,
        input_height=height,
        cache=str(flags.out / "teacher"),
    )
    teacher.open().network()  # what is wrong with it shows before the runs
    return teacher


def _student(flags: argparse.Namespace, pattern: str, clip_name: str) -> StudentFile:
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


def _check_student(flags: argparse.Namespace) -> None:
    if flags.student not in STUDENTS and not flags.student.endswith(".pt"):
        raise ValueError(
            f"--student is '{flags.student}'; it must be one of {', '.join(STUDENTS)}, or a "
            "TorchScript file (.pt)"
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
    _check_student(flags)
    clips = [ClipFile.open(folder) for folder in flags.clips]
    _distinct_names(clips)
    _check_classes([clips], flags.classes, trains_on_all=True)
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


def _check_start_up(streams: Sequence[Sequence[ClipFile]], flags: argparse.Namespace) -> None:
    for clips in streams if flags.start_up_seconds > 0 else ():
        stream = sim.Stream([c.folder for c in clips], max_seconds=flags.max_seconds or 1e9)
        if stream.duration_seconds <= flags.start_up_seconds:
            raise ValueError(
                f"--start-up-seconds {flags.start_up_seconds:g} leaves nothing to score of "
                f"{stream.name}, which is played for {stream.duration_seconds:g} s"
            )


def _check_classes(
    streams: Sequence[Sequence[ClipFile]], outputs: int, *, trains_on_all: bool = False
) -> None:
    """The student has an output for every class that counts, or is trained on."""
    for clips in streams:
        stream = sim.Stream([clip.folder for clip in clips])
        most = stream.class_count if trains_on_all else max(stream.classes) + 1
        if most > outputs:
            raise ValueError(
                f"{stream.name} has classes up to {most - 1}, but --classes {outputs} are "
                f"0 to {outputs - 1}"
            )


def _distinct_names(clips: Sequence[ClipFile]) -> None:
    names = [clip.identity.name for clip in clips]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two clips are called {name}; results go by name")
