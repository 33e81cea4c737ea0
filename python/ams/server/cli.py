"""The command: python -m ams.server, which `ams-server --task python:...` becomes."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .. import __version__
from .._core import FixedPolicy
from .._token_file import read_token
from ..errors import Error, InvalidArgumentError, IoError
from ..serving import Server
from ..teachers import ProcessTeacher
from ..teachers.factory import make

_PYTHON = "python:"


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit codes: 0 a signal came, 1 failed, 2 wrong arguments."""
    flags = _parser().parse_args(arguments)
    logging.basicConfig(
        level=flags.log_level.upper(), format="%(asctime)s %(levelname)s %(message)s"
    )
    try:
        _serve(flags)
    except Error as error:
        print(f"error: {error.code}: {error}", file=sys.stderr)
        return 1
    return 0


def _serve(flags: argparse.Namespace) -> None:
    token = read_token(flags.token, flags.token_file)
    if flags.report:
        _write(flags.report, "")  # what cannot be written says so now
    task = _made("--task", flags.task) if flags.task.startswith(_PYTHON) else flags.task
    student = flags.student
    if student.startswith(_PYTHON):
        student = _made("--student", student)
    with ProcessTeacher(
        _factory("--teacher", flags.teacher), timeout_seconds=flags.teacher_timeout_seconds
    ) as teacher:
        server = Server(
            student,
            teacher,
            task,
            policy=_policy(flags),
            address=flags.address,
            port=flags.port,
            certificate=flags.certificate or None,
            private_key=flags.private_key or None,
            token=token or None,
            open=flags.open,
            data_dir=None if flags.data_dir == "none" else flags.data_dir,
            device=flags.device,
            with_statistics=flags.train_batch_norm,
            normalization=flags.normalization_tensors,
            head=flags.head_tensors,
            max_devices=flags.max_devices,
        )
        if flags.check:
            return
        if flags.port_file:
            _write(flags.port_file, f"{server.port}\n")
        status = server.run()
        if flags.report:
            report = {"status": status, "devices": server.devices()}
            _write(flags.report, json.dumps(report, indent=2) + "\n")


def _policy(flags: argparse.Namespace) -> Callable[[], FixedPolicy]:
    given: dict[str, Any] = {
        name: value
        for name in ("update_interval_seconds", "iterations", "batch_size", "learning_rate")
        if (value := getattr(flags, name)) is not None
    }
    FixedPolicy(**given)  # says what is out of range
    return lambda: FixedPolicy(**given)


def _factory(flag: str, text: str) -> str:
    if not text.startswith(_PYTHON):
        raise InvalidArgumentError(
            f"{flag} is '{text}'; with a task of Python allowed is python:MODULE:FACTORY; other "
            "teachers are made by ams.teachers"
        )
    return text.removeprefix(_PYTHON)


def _made(flag: str, text: str) -> Any:
    factory = _factory(flag, text)
    try:
        return make(factory)
    except Exception as error:
        raise InvalidArgumentError(
            f"{flag} {text}: {type(error).__name__}: {error}"
        ) from error


def _write(path: str, text: str) -> None:
    try:
        Path(path).write_text(text)
    except OSError as error:
        raise IoError(f"cannot write '{path}': {error}") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ams.server",
        description="Teaches devices a task of your own: labels their frames with a teacher, trains a "
        "copy of each one's student and streams the changes back. Flags are named as those of "
        "ams-server, which becomes this program when --task is python:MODULE:FACTORY. A FACTORY is a "
        "function without arguments; modules of the current folder are found.",
        allow_abbrev=False,
    )
    what = parser.add_argument_group("what is taught")
    what.add_argument(
        "--task",
        default="segmentation",
        help="segmentation (default), or python:MODULE:FACTORY, which gives an object of a class "
        "derived from ams.ModuleTask",
    )
    what.add_argument(
        "--student",
        required=True,
        help="a student bundle, or python:MODULE:FACTORY, which gives a torch.nn.Module",
    )
    what.add_argument(
        "--teacher",
        required=True,
        help="python:MODULE:FACTORY, which gives a function of frames, uint8 [N, H, W, 3]; it runs in "
        "a process of its own",
    )
    what.add_argument(
        "--teacher-timeout-seconds",
        type=float,
        default=60,
        help="a teacher that needs longer for a batch is ended and started again (default: 60)",
    )
    what.add_argument("--device", help="where the student is trained: cpu, cuda, cuda:1, ...")
    what.add_argument(
        "--train-batch-norm", action="store_true", help="train and send batch-norm statistics too"
    )
    what.add_argument(
        "--normalization-tensors", type=_names, default=(), metavar="PATTERN,...",
        help="tensors that are normalisation, where the layers' types do not say so",
    )  # fmt: skip
    what.add_argument(
        "--head-tensors", type=_names, default=(), metavar="PATTERN,...",
        help="tensors that are the head (default: the last layer)",
    )  # fmt: skip
    pace = parser.add_argument_group("pace (ams.FixedPolicy)")
    pace.add_argument("--update-interval-seconds", type=float, help="(default: 2)")
    pace.add_argument("--iterations", type=int, help="training steps of a phase (default: 8)")
    pace.add_argument("--batch-size", type=int, help="samples of a step (default: 8)")
    pace.add_argument("--learning-rate", type=float, help="(default: 0.002)")
    network = parser.add_argument_group("network")
    network.add_argument("--address", default="127.0.0.1", help="(default: 127.0.0.1)")
    network.add_argument("--port", type=int, default=8443, help="0: any free one (default: 8443)")
    network.add_argument("--port-file", default="", help="the port is written here")
    network.add_argument("--certificate", default="", help="PEM (default: made in --data-dir)")
    network.add_argument("--private-key", default="", help="PEM")
    network.add_argument("--token", default="", help="secret that devices must know")
    network.add_argument("--token-file", default="", help="file whose first line is that secret")
    network.add_argument(
        "--open", action="store_true", help="let everybody in who reaches the address"
    )
    network.add_argument("--max-devices", type=int, default=64, help="(default: 64)")
    others = parser.add_argument_group("others")
    others.add_argument(
        "--data-dir",
        default="none",
        help="folder that keeps sessions, and the tokens of `ams-server devices` (default: none)",
    )
    others.add_argument("--report", default="", help="JSON report at the end")
    others.add_argument("--check", action="store_true", help="check the flags, and end")
    others.add_argument(
        "--log-level", choices=("debug", "info", "warning", "error"), default="info"
    )
    others.add_argument("--version", action="version", version=__version__)
    return parser


def _names(text: str) -> list[str]:
    """Apart by commas, as in ams-server."""
    return text.split(",")
