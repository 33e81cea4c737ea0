"""A teacher network that labels what the server decodes."""

from __future__ import annotations

import hashlib
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ams.torch import NetworkTeacher


@dataclass(frozen=True, kw_only=True)
class Teacher:
    """Labels the frames that the server decodes, as ams-server does, in place of the clips' own
    labels. Scores are against the clips' labels all the same. A plain value.

    network, weights, num_classes, input_width, input_height: as ams.torch.NetworkTeacher; its
        class ids are those of the clips.
    cache: a folder where labels are kept, so that a second run needs no network; "" keeps none.
    """

    network: str = "fddwnet"
    weights: str = ""
    num_classes: int = 19
    input_width: int = 1024
    input_height: int = 512
    cache: str = field(default="", compare=False)

    def settings(self) -> dict[str, Any]:
        """All that its labels depend on; files by their content."""
        settings = asdict(self)
        del settings["cache"]
        for name in ("network", "weights"):
            path = Path(settings[name])
            if settings[name] and path.is_file():
                settings[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        return settings

    def open(self) -> TeacherLabels:
        """Raises as ams.torch.NetworkTeacher."""
        return TeacherLabels(self)


class TeacherLabels:
    """The labels of one run. Opens the network when the cache lacks a label."""

    def __init__(self, teacher: Teacher) -> None:
        self._teacher = teacher
        self._network: NetworkTeacher | None = None
        self._cache = Path(teacher.cache) if teacher.cache else None
        self._key = repr(sorted(teacher.settings().items())).encode()

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        """uint8 [H, W, 3] to class ids, uint8 [input_height, input_width]."""
        if self._cache is None:
            return self._label(frame)
        digest = hashlib.sha256(self._key + repr(frame.shape).encode() + frame.tobytes())
        path = self._cache / f"{digest.hexdigest()[:32]}.npz"
        if path.is_file():
            with np.load(path) as stored:
                return stored["labels"]
        labels = self._label(frame)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}.npz")
        try:
            np.savez_compressed(partial, labels=labels)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        return labels

    def _label(self, frame: np.ndarray) -> np.ndarray:
        return self.network().label(frame)

    def network(self) -> NetworkTeacher:
        """Opens it when that has not been done. Raises as ams.torch.NetworkTeacher."""
        if self._network is None:
            from ams.torch import NetworkTeacher

            options: dict[str, Any] = asdict(self._teacher)
            del options["cache"]
            self._network = NetworkTeacher(options.pop("network"), **options)
        return self._network
