"""ams.teachers.ProcessTeacher: a teacher that raises, hangs, is killed or cannot be made."""

import os
import signal
import time

import numpy as np
import pytest

import ams
from ams import teachers

MODULE = """
import os, time
import numpy as np

class Boxes:
    def __call__(self, frames):
        return [np.full((1, 6), frame[0, 0, 0], np.float32) for frame in frames]

def make():
    def label(frames):
        number = int(frames[0, 0, 0, 0])
        if number == 1:
            raise ValueError("one is too little")
        if number == 2:
            time.sleep(100)
        if number == 3:
            os._exit(4)
        if number == 4:
            raise SystemExit(6)
        return frames[..., 0] + 1, os.getpid()
    return label

def broken():
    raise RuntimeError("no weights")

nothing = None
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "lab_teacher.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, _paths())))
    return "lab_teacher"


def _paths():
    return [str(os.path.dirname(os.path.dirname(ams.__file__))), os.environ.get("PYTHONPATH", "")]


def frames(number, count=2):
    return np.full((count, 4, 6, 3), number, np.uint8)


def gone(process):
    for _ in range(200):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.01)
    return False


def again(teacher, number=10):
    """Its answer after the pause that follows a failure."""
    for _ in range(200):
        try:
            return teacher(frames(number))
        except ams.UnavailableError as error:
            assert "started again in" in str(error)
            time.sleep(0.05)
    raise AssertionError("it is not started again")


def test_labels_are_the_teachers(module):
    with teachers.ProcessTeacher(f"{module}:make") as teacher:
        labels, process = teacher(frames(10))
        np.testing.assert_array_equal(labels, np.full((2, 4, 6), 11))
        assert process != os.getpid()
        assert teacher(frames(11))[1] == process
    assert gone(process)
    with pytest.raises(ams.UnavailableError, match="closed"):
        teacher(frames(10))
    with teachers.ProcessTeacher(f"{module}:Boxes") as teacher:
        (boxes,) = teacher(frames(3, count=1))
        np.testing.assert_array_equal(boxes, np.full((1, 6), 3, np.float32))


def test_what_goes_wrong_costs_a_batch(module):
    with teachers.ProcessTeacher(f"{module}:make", timeout_seconds=1) as teacher:
        first = teacher(frames(10))[1]
        with pytest.raises(ams.UnavailableError, match="ValueError: one is too little"):
            teacher(frames(1))
        assert teacher(frames(10))[1] == first  # the process goes on
        for number, text in (
            (2, "no answer in 1 s"),
            (3, "status 4"),
            (4, "status 6"),
        ):
            before = again(teacher)[1]
            with pytest.raises(ams.UnavailableError, match=text):
                teacher(frames(number))
            assert gone(before)
        process = again(teacher)[1]
        os.kill(process, signal.SIGKILL)
        with pytest.raises(ams.UnavailableError, match="signal 9"):
            teacher(frames(10))
        assert again(teacher)[1] != process


def test_a_process_that_takes_no_frames_is_ended(module):
    with teachers.ProcessTeacher(f"{module}:make", timeout_seconds=1) as teacher:
        process = teacher(frames(10))[1]
        os.kill(process, signal.SIGSTOP)
        with pytest.raises(ams.UnavailableError, match="no answer in 1 s"):
            teacher(np.zeros((4, 512, 512, 3), np.uint8))  # more than a socket holds
        assert gone(process)
        assert again(teacher)[1] != process


@pytest.mark.parametrize(
    ("factory", "text"),
    [
        ("lab_teacher:broken", "RuntimeError: no weights"),
        ("lab_teacher:absent", "has no attribute 'absent'"),
        ("lab_teacher:nothing", "is NoneType; wanted is a function without arguments"),
        ("no_such_lab:make", "No module named 'no_such_lab'"),
    ],
)
def test_a_teacher_that_cannot_be_made_says_why(module, factory, text):
    with pytest.raises(ams.UnavailableError, match=text):
        teachers.ProcessTeacher(factory)


def test_arguments_are_checked(module):
    with pytest.raises(ams.InvalidArgumentError, match="module:function"):
        teachers.ProcessTeacher("lab_teacher")
    with pytest.raises(ams.InvalidArgumentError, match="timeout_seconds is 0"):
        teachers.ProcessTeacher("lab_teacher:make", timeout_seconds=0)
    with pytest.raises(ams.UnavailableError, match="cannot be started"):
        teachers.ProcessTeacher("lab_teacher:make", python="/no/python")
    with teachers.ProcessTeacher("lab_teacher:make") as teacher:
        with pytest.raises(ams.InvalidArgumentError, match=r"uint8 \[N, H, W, 3\]"):
            teacher(np.zeros((4, 6, 3), np.uint8))
        teacher(frames(10))
