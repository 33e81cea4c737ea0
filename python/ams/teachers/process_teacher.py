"""A teacher in a process of its own, for ams.serve."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from ..errors import InvalidArgumentError, UnavailableError
from .process_messages import frames_message, parse_answer

_MOST_PAUSE_SECONDS = 60.0
_GOODBYE_SECONDS = 0.5


class ProcessTeacher:
    """A teacher in a process of its own: what crashes there, hangs or takes all memory costs a
    batch, and holds no GIL here.

        ams.serve("student.bundle", ams.teachers.ProcessTeacher("my_teacher:make"))

    `factory`: "module:function"; the module is found as `python -m` finds it, also in the current
    folder. The function takes no arguments and gives a teacher: a function of frames, uint8
    [N, H, W, 3]. timeout_seconds: for the labels of a batch; start_timeout_seconds: until the teacher
    is made. Both > 0. python: the interpreter.

    The constructor waits until the teacher is made. A process that ends or gives no answer in time is
    killed and, at the next call after a pause, started again; a call until then raises. What the
    teacher raises comes out here as text, and its traceback on stderr. One thread at a time labels,
    the others wait. close() ends the process, as leaving `with` does.

    Raises ams.InvalidArgumentError, and ams.UnavailableError for all that goes wrong over there.
    """

    def __init__(
        self,
        factory: str,
        *,
        timeout_seconds: float = 60,
        start_timeout_seconds: float = 300,
        python: str = sys.executable,
    ) -> None:
        if not isinstance(factory, str) or ":" not in factory:
            raise InvalidArgumentError(
                f"factory is {factory!r:.100}; allowed is 'module:function', e.g. 'my_teacher:make'"
            )
        for name, value in (
            ("timeout_seconds", timeout_seconds),
            ("start_timeout_seconds", start_timeout_seconds),
        ):
            if not value > 0:
                raise InvalidArgumentError(f"{name} is {value}; allowed is more than 0")
        self._command = [python, "-m", "ams.teachers.child", "--pickle", factory]
        self._timeout, self._start_timeout = timeout_seconds, start_timeout_seconds
        self._lock = threading.Lock()
        self._process: _Process | None = None
        self._closed = False
        self._failures, self._not_before = 0, 0.0
        with self._lock:
            self._start()

    def __call__(self, frames: np.ndarray) -> Any:
        """What the teacher gives for frames, uint8 [N, H, W, 3]."""
        frames = np.ascontiguousarray(frames)
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3:
            raise InvalidArgumentError(
                f"frames are {frames.dtype} {list(frames.shape)}; needed are uint8 [N, H, W, 3]"
            )
        with self._lock:
            if self._closed:
                raise UnavailableError("the teacher's process is closed")
            if self._process is None:
                wait = self._not_before - time.monotonic()
                if wait > 0:
                    raise UnavailableError(
                        f"the teacher's process is started again in {max(1, round(wait))} s"
                    )
                self._start()
            process = self._process
            assert process is not None
            try:
                answer = process.exchange(frames_message(frames), self._timeout)
                if not isinstance(answer, str):
                    if len(answer) != 1:
                        raise UnavailableError("the teacher's process has sent no labels")
                    labels = pickle.loads(answer[0])
            except BaseException:  # Ctrl-C, too: its answer would be taken for the next one's
                self._give_up()
                raise
            self._failures = 0
        if isinstance(answer, str):
            raise UnavailableError(answer)
        return labels

    def close(self) -> None:
        """Ends the process. Does nothing a second time."""
        with self._lock:
            self._closed = True
            if self._process is not None:
                self._process.end(_GOODBYE_SECONDS)
                self._process = None

    def __enter__(self) -> ProcessTeacher:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _start(self) -> None:
        self._process = _Process(self._command)
        try:
            ready = self._process.exchange(None, self._start_timeout)
            if isinstance(ready, str):
                raise UnavailableError(ready)
        except BaseException:
            self._give_up()
            raise

    def _give_up(self) -> None:
        if self._process is not None:
            self._process.end(0)
            self._process = None
        pause = min(_MOST_PAUSE_SECONDS, 2.0**self._failures)
        self._failures += 1
        self._not_before = time.monotonic() + pause


class _Process:
    """A child that runs. Not thread-safe."""

    def __init__(self, command: list[str]) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            end = theirs.fileno()
            try:
                self._child = subprocess.Popen(
                    [*command, "--socket", str(end)],
                    pass_fds=[end],
                    start_new_session=True,  # a terminal's Ctrl-C is the server's
                    stdin=subprocess.DEVNULL,
                )
            except OSError as error:
                raise UnavailableError(
                    f"the teacher's process cannot be started: {error}"
                ) from error
            self._connection = Connection(ours.detach())
        self._end = weakref.finalize(self, _kill, self._child, self._connection, 0.0)

    def exchange(self, message: bytes | None, timeout_seconds: float) -> list[bytes] | str:
        """Sends a message, if there is one, and gives the next one that comes. One that is not sent
        in time counts, too: a process may be stopped, or a thread of the teacher's hold its GIL."""
        late = threading.Event()

        def end() -> None:
            late.set()
            _kill_group(self._child)

        timer = threading.Timer(timeout_seconds, end)
        timer.daemon = True
        timer.start()
        try:
            if message is not None:
                self._connection.send_bytes(message)
            return parse_answer(self._connection.recv_bytes())
        except (EOFError, OSError):
            if late.is_set():
                raise UnavailableError(
                    f"the teacher's process gives no answer in {timeout_seconds:g} s and is ended"
                ) from None
            self._raise_ended()
        except ValueError as error:
            raise UnavailableError(f"the teacher's process: {error}") from error
        finally:
            timer.cancel()

    def _raise_ended(self) -> Any:
        try:
            status = self._child.wait(_GOODBYE_SECONDS)
        except subprocess.TimeoutExpired:
            raise UnavailableError(
                "the teacher's process has closed its socket and is ended"
            ) from None
        if status < 0:
            hint = ", maybe for want of memory" if status == -9 else ""
            raise UnavailableError(f"the teacher's process was ended by signal {-status}{hint}")
        raise UnavailableError(f"the teacher's process has ended with status {status}")

    def end(self, wait_seconds: float) -> None:
        if self._end.detach():
            _kill(self._child, self._connection, wait_seconds)


def _kill(child: subprocess.Popen[bytes], connection: Connection, wait_seconds: float) -> None:
    connection.close()  # asks it to end
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(wait_seconds)
    _kill_group(child)
    child.wait()


def _kill_group(child: subprocess.Popen[bytes]) -> None:
    """And whatever it has started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
