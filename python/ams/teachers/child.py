"""A teacher for another process: `python -m ams.teachers.child module:factory`.

The other end is ams::ProcessTeacher of ams-server (--teacher python:module:factory), or
ams.teachers.ProcessTeacher.
"""

from __future__ import annotations

import argparse
import logging
import os
import pickle
import struct
import sys
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from .factory import make
from .process_messages import failure_message, labels_message


def load(factory: str) -> Callable[[np.ndarray], Any]:
    """The teacher that "module:factory" makes. Raises as make(), and ValueError for no teacher."""
    teacher = make(factory)
    if not callable(teacher):
        raise ValueError(
            f"{factory} gives {type(teacher).__name__}; wanted is a function without arguments that "
            "gives a teacher: a function of frames, uint8 [N, H, W, 3]"
        )
    return teacher


def _segmentation(teacher: Callable[[np.ndarray], Any]) -> Callable[[np.ndarray], list[bytes]]:
    """Label maps, as ams-server's task packs them."""
    from ..serving.guard import Failures, GuardedTeacher
    from ..serving.segmentation import SegmentationTask

    task = SegmentationTask(2)  # how labels are packed does not depend on classes
    checked = GuardedTeacher(teacher, task, Failures())

    def answer(frames: np.ndarray) -> list[bytes]:
        labels = checked(frames)
        return [b"" if label is None else bytes(task.pack_label(label)) for label in labels]

    return answer


def _pickled(teacher: Callable[[np.ndarray], Any]) -> Callable[[np.ndarray], list[bytes]]:
    """Whatever the teacher gives; ams.serve checks it."""

    def answer(frames: np.ndarray) -> list[bytes]:
        given = teacher(frames)
        if hasattr(given, "detach"):  # a tensor
            given = given.detach().cpu().numpy()
        return [pickle.dumps(given, protocol=pickle.HIGHEST_PROTOCOL)]

    return answer


def _tell(error: BaseException, what: str) -> bytes:
    """The traceback goes to stderr, the text to the other end."""
    traceback.print_exception(error, file=sys.stderr)
    sys.stderr.flush()
    return failure_message(f"{what} {type(error).__name__}: {error}")


def main() -> int:
    """Serves frames until the other end is closed."""
    parser = argparse.ArgumentParser(
        description="Labels frames for another process. ams-server --teacher python:MODULE:FACTORY "
        "and ams.teachers.ProcessTeacher start it; by hand it has nobody to talk to."
    )
    parser.add_argument("factory", metavar="MODULE:FACTORY", help="what makes the teacher")
    parser.add_argument("--pickle", action="store_true", help="labels for ams.teachers")
    parser.add_argument("--socket", type=int, default=3, help="its file descriptor (default 3)")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        os.set_inheritable(arguments.socket, False)
        connection = Connection(arguments.socket)
    except OSError:
        parser.error(f"file descriptor {arguments.socket} is not open: ams-server starts this program")
    try:
        teacher = load(arguments.factory)
        answer = (_pickled if arguments.pickle else _segmentation)(teacher)
    except BaseException as error:
        connection.send_bytes(_tell(error, f"the teacher {arguments.factory} cannot be made:"))
        return 1
    connection.send_bytes(labels_message([]))
    while True:
        try:
            request = connection.recv_bytes()
        except (EOFError, ConnectionResetError):
            return 0
        count, height, width = struct.unpack_from("<3I", request)
        frames = np.frombuffer(request, np.uint8, offset=12).reshape(count, height, width, 3)
        try:
            message = labels_message(answer(frames))
        except Exception as error:
            told = arguments.pickle or not hasattr(error, "code")  # else it is in the log already
            message = (
                _tell(error, "the teacher raised") if told else failure_message(str(error))
            )
        try:
            connection.send_bytes(message)
        except (BrokenPipeError, ConnectionResetError):
            return 0


if __name__ == "__main__":
    sys.exit(main())
