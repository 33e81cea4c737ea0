"""Calls of what a user brought: what it raises costs a batch or a phase, and is told."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from .._core import Manifest, Task, TrainingJob, TrainingResult
from ..errors import Error, InvalidArgumentError, UnavailableError

LOG = logging.getLogger("ams.serve")
_SAME_AGAIN_SECONDS = 60.0  # one traceback of a repeated failure
_LONG_SECONDS = 30.0
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING}


class EventLog:
    """A LogSink of ams.parts: one line an event, for the logger ams.serve."""

    def write(self, level: str, event: str, fields: Mapping[str, Any]) -> None:
        text = " ".join(f"{key}={_quoted(value)}" for key, value in fields.items())
        LOG.log(_LEVELS.get(level, logging.ERROR), "%s %s", event, text)


def _quoted(value: Any) -> str:
    """Texts may come from a network: nothing in them steers a terminal or ends the line."""
    text = str(value)
    plain = text.isascii() and text.isprintable() and text and not set(text) & set(' "')
    return text if plain else json.dumps(text)


class Failures:
    """Tells tracebacks, and the same one not again within a minute. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told: dict[str, tuple[str, float]] = {}

    @contextlib.contextmanager
    def told(self, what: str, *, errors: bool = True) -> Iterator[None]:
        """What the block raises comes out as an ams.Error. errors=False: one that is an ams.Error
        says all by itself, and its traceback is not told."""
        try:
            yield
        except BaseException as error:  # SystemExit of a library must not end the thread either
            if isinstance(error, Error) and not errors:
                raise
            text = f"{what} raised {type(error).__name__}: {error}"
            now = time.monotonic()
            with self._lock:
                before, when = self._told.get(what, ("", 0.0))
                again = before == text and now - when < _SAME_AGAIN_SECONDS
                if not again:
                    self._told[what] = text, now
            if not again:
                LOG.error("%s", text, exc_info=error)
            if isinstance(error, Error):
                raise
            raise UnavailableError(text) from error


class GuardedTeacher:
    """What labels batches: uint8 [N, H, W, 3] to N labels as the task keeps them."""

    def __init__(self, teacher: Callable[[np.ndarray], Any], task: Any, failures: Failures) -> None:
        self._teacher, self._task, self._failures = teacher, task, failures

    def __call__(self, frames: np.ndarray) -> list[Any]:
        with _told_when_long(len(frames)), self._failures.told("the teacher"):
            given = self._teacher(frames)
        with self._failures.told("the task's check_label()", errors=False):
            return [
                None if label is None else self._task.check_label(label, frame)
                for label, frame in zip(self._split(given, frames), frames, strict=True)
            ]

    def _split(self, given: Any, frames: np.ndarray) -> list[Any]:
        if hasattr(given, "detach"):  # a tensor
            given = given.detach().cpu().numpy()
        shape = getattr(given, "shape", None)
        fits = isinstance(given, Sequence) and not isinstance(given, (str, bytes))
        if shape is not None:
            fits = len(shape) > 0
        if not fits or len(given) != len(frames):
            found = (
                f"an array {list(shape)}"
                if shape is not None
                else f"{len(given)} labels"
                if fits
                else type(given).__name__
            )
            raise InvalidArgumentError(
                f"the teacher gave {found} for frames {list(frames.shape)}; wanted are "
                f"{len(frames)} labels, one a frame, each "
                f"{getattr(self._task, 'label_text', 'a label')}, or None"
            )
        return list(given)


@contextlib.contextmanager
def _told_when_long(frames: int) -> Iterator[None]:
    timer = threading.Timer(
        _LONG_SECONDS,
        LOG.warning,
        (
            "the teacher has been busy for %g s with %d frames; until it ends no device gets "
            "labels, and all go on with what they hold",
            _LONG_SECONDS,
            frames,
        ),
    )
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


class GuardedTrainer:
    """A Trainer of ams.parts."""

    def __init__(self, trainer: Any, failures: Failures) -> None:
        self._trainer, self._failures = trainer, failures

    @property
    def manifest(self) -> Manifest:
        manifest: Manifest = self._trainer.manifest
        return manifest

    def train(self, job: TrainingJob) -> TrainingResult:
        with self._failures.told("the training of a phase"):
            result: TrainingResult = self._trainer.train(job)
        return result


class GuardedPredictor:
    """A Predictor of ams.parts."""

    def __init__(self, predictor: Any, failures: Failures) -> None:
        self._predictor, self._failures = predictor, failures
        self.manifest = predictor.manifest

    def load(self, values: np.ndarray) -> None:
        self._predictor.load(values)

    def predict(self, frame: np.ndarray) -> Any:
        with self._failures.told("the prediction for a picture"):
            return self._predictor.predict(frame)


class GuardedTask(Task):
    """A task of Python's as it is."""

    def __init__(self, task: Any, failures: Failures) -> None:
        super().__init__()
        self._guarded_task, self._failures = task, failures

    @property
    def name(self) -> str:
        name: str = self._guarded_task.name
        return name


def _forwarded(name: str) -> Callable[..., Any]:
    def call(self: GuardedTask, *arguments: Any) -> Any:
        with self._failures.told(f"the task's {name}()"):
            return getattr(self._guarded_task, name)(*arguments)

    return call


for _name in (
    "sample",
    "pack_label",
    "unpack_label",
    "phi",
    "difference",
    "frame_and_label",
    "size_bytes",
    "score",
    "draw",
):
    setattr(GuardedTask, _name, _forwarded(_name))
