"""What a server trains and a device runs: a module or a student bundle, opened with its task."""

from __future__ import annotations

import copy
import hashlib
import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import bundle as bundles
from .._core import Manifest, ModelState, Task
from ..errors import InvalidArgumentError, ManifestMismatchError, UnavailableError
from .segmentation import SegmentationTask, outputs_of

if TYPE_CHECKING:
    import torch

    from ..torch import Network, StudentSpec

_DEFAULT_SIZE = (128, 256)


@dataclass(frozen=True)
class Roles:
    """Which tensors are trained besides the parameters, and which are normalisation and head."""

    with_statistics: bool = False
    normalization: Sequence[str] = ()
    head: Sequence[str] = ()

    def options(self) -> dict[str, Any]:
        """Keyword arguments of ParameterVector and ModuleTrainer."""
        return {
            "with_statistics": self.with_statistics,
            "normalization": list(self.normalization),
            "head": list(self.head),
        }


class ModulePredictor:
    """A copy of a module as a Predictor of ams.parts. Not thread-safe."""

    def __init__(self, module: Any, task: Any, device: torch.device, roles: Roles) -> None:
        from ..torch import ParameterVector

        self._module, self._task, self._device = module, task, device
        self._vector = ParameterVector(module, **roles.options())

    @property
    def manifest(self) -> Manifest:
        return self._vector.manifest

    @property
    def values(self) -> np.ndarray:
        return self._vector.copy()

    def load(self, values: np.ndarray) -> None:
        self._vector.load(values)

    def predict(self, frame: np.ndarray) -> Any:
        import torch

        from ..torch.module_trainer import to_device

        with torch.no_grad():
            inputs = to_device(self._task.inputs([frame]), self._device)
            outputs = self._task.forward(self._module, inputs)
            predictions = self._task.predict(outputs)
        if len(predictions) != 1:
            raise InvalidArgumentError(
                f"the task's predict() gave {len(predictions)} predictions of one frame"
            )
        return predictions[0]


@dataclass
class Student:
    """An opened student: copies of it to train and to predict with."""

    task: Any  # an ams.Task with the methods of ModuleTask
    initial: ModelState
    fingerprint: int
    copy: Callable[[], Any]
    device: torch.device
    roles: Roles

    def predictor(self) -> ModulePredictor:
        """A new one, with the initial values."""
        return ModulePredictor(self.copy(), self.task, self.device, self.roles)

    def trainer(self) -> Any:
        """A ModuleTrainer of the task's loss."""
        from ..torch import ModuleTrainer

        return ModuleTrainer(
            self.copy(),
            loss=self.task.loss,
            collate=self.task.collate,
            score=self.task.accuracy,
            forward=self.task.forward,
            **self.roles.options(),
        )


def open_student(
    student: Any,
    task: Any,
    *,
    input_size: tuple[int, int] | None,
    classes: int | Sequence[str] | None,
    device: Any,
    roles: Roles,
) -> Student:
    """`student`: a torch.nn.Module, which stays as it is, a StudentSpec, or a bundle or its path.
    `task`: "segmentation", or an ams.Task with the methods of ModuleTask. Runs the student once, on
    a black frame. Raises ams.Error."""
    torch = _torch()
    where = torch.device("cpu" if device is None else device)
    check_task(task)
    from ..torch import StudentSpec

    if isinstance(student, (str, os.PathLike)):
        student = bundles.read(student)
    if isinstance(student, bundles.StudentBundle):
        opened = _open_bundle(student, task, input_size, classes, where, roles)
    elif isinstance(student, StudentSpec):
        opened = _open_spec(student, task, input_size, classes, where)
    elif isinstance(student, torch.nn.Module):
        opened = _open_module(student, task, input_size, classes, where, roles)
    else:
        raise InvalidArgumentError(
            f"the student is {type(student).__name__}; allowed are a torch.nn.Module, an "
            "ams.torch.StudentSpec, and the path of a student bundle (ams.export.bundle writes one)"
        )
    size = opened.task.input_size
    if size is not None:
        opened.predictor().predict(np.zeros((*size, 3), np.uint8))
    return opened


def check_task(task: Any) -> None:
    """Raises ams.InvalidArgumentError unless it is a name or an object that serving can use."""
    if task == "segmentation":
        return
    wanted = ("check_label", "collate", "loss", "accuracy", "inputs", "forward", "predict")
    if not isinstance(task, Task) or not all(hasattr(task, name) for name in wanted):
        raise InvalidArgumentError(
            f'the task is {task!r:.100}; allowed are "segmentation", an ams.SegmentationTask, and '
            "an object of a class derived from ams.ModuleTask"
        )
    if isinstance(task, SegmentationTask):
        for name in ("sample", "phi", "difference", "draw", "score", "pack_label", "unpack_label"):
            if getattr(type(task), name) is not getattr(SegmentationTask, name):
                raise InvalidArgumentError(
                    f"{type(task).__name__}.{name}() would not be called: ams.SegmentationTask's "
                    "own runs in C++; derive the class from ams.ModuleTask"
                )


def segmentation_of(
    source: Any,
    task: Any,
    input_size: tuple[int, int] | None,
    classes: int | Sequence[str] | None,
    *,
    names: Sequence[str] | None = None,
    align_corners: bool = False,
) -> SegmentationTask:
    """The task of a StudentBundle or StudentSpec. Raises ams.InvalidArgumentError for one that does
    not fit it."""
    if input_size is not None or classes is not None:
        raise InvalidArgumentError(
            "a bundle or StudentSpec says its input_size and classes: leave both out"
        )
    facts: dict[str, Any] = {
        "input_size": (source.input_height, source.input_width),
        "selected_classes": tuple(source.selected_classes),
        "mean": tuple(source.mean),
        "standard_deviation": tuple(source.standard_deviation),
    }
    if task == "segmentation":
        return SegmentationTask(names or source.num_classes, align_corners=align_corners, **facts)
    if not isinstance(task, SegmentationTask):
        raise InvalidArgumentError(
            'devices of a bundle predict label maps: the task must be "segmentation" or an '
            "ams.SegmentationTask; give a torch.nn.Module for another one"
        )
    for name, wanted in {**facts, "num_classes": source.num_classes}.items():
        if getattr(task, name) != wanted:
            raise InvalidArgumentError(
                f"the task's {name} is {getattr(task, name)}; the student has {wanted}"
            )
    return task


# ---- A module


def _open_module(
    module: torch.nn.Module,
    task: Any,
    input_size: tuple[int, int] | None,
    classes: int | Sequence[str] | None,
    device: torch.device,
    roles: Roles,
) -> Student:
    kept = copy.deepcopy(module).eval().to(device)
    if task == "segmentation":
        size = _DEFAULT_SIZE if input_size is None else input_size
        count = _outputs(kept, size, device) if classes is None else classes
        task = SegmentationTask(count, input_size=size)
    elif input_size is not None or classes is not None:
        raise InvalidArgumentError(
            'the task says its input_size and classes: leave both out, or give task="segmentation"'
        )
    vector = ModulePredictor(copy.deepcopy(kept), task, device, roles)
    return Student(
        task=task,
        initial=ModelState(vector.manifest, vector.values),
        fingerprint=_fingerprint(kept, vector.manifest, task),
        copy=lambda: copy.deepcopy(kept),
        device=device,
        roles=roles,
    )


def _outputs(module: torch.nn.Module, size: tuple[int, int], device: torch.device) -> int:
    """How many classes a module gives; two for one output."""
    import torch

    with torch.no_grad():
        logits = outputs_of(module(torch.zeros(1, 3, *size, device=device)))
    return max(2, int(logits.shape[1]))


def _fingerprint(module: torch.nn.Module, manifest: Manifest, task: Any) -> int:
    """Digest of all that both ends need alike and that no update brings: frozen tensors, and how
    frames get in. Never 0."""
    digest = hashlib.blake2b(digest_size=8)
    digest.update(manifest.digest.to_bytes(8, "little"))
    sent = {tensor.name for tensor in manifest.tensors}
    for name, tensor in sorted(module.state_dict().items()):
        if name in sent or name.endswith("num_batches_tracked") or not hasattr(tensor, "detach"):
            continue
        array = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {list(array.shape)} {array.dtype}".encode())
        digest.update(array.float().numpy().tobytes())
    how = [getattr(task, name, None) for name in ("input_size", "mean", "standard_deviation")]
    digest.update(repr([task.name, *how, getattr(task, "selected_classes", ())]).encode())
    return int.from_bytes(digest.digest(), "little") or 1


# ---- A bundle, or a network of the library


def _open_bundle(
    bundle: bundles.StudentBundle,
    task: Any,
    input_size: tuple[int, int] | None,
    classes: int | Sequence[str] | None,
    device: torch.device,
    roles: Roles,
) -> Student:
    from ..torch import StudentSpec

    folder = Path(tempfile.mkdtemp(prefix="ams-student-"))
    file = bundle.extract_network(folder)
    is_script = bundle.network == bundles.SCRIPT
    spec = StudentSpec(
        network=str(file) if is_script else bundle.network,
        weights="" if is_script else str(file),
        num_classes=bundle.num_classes,
        input_width=bundle.input_width,
        input_height=bundle.input_height,
        selected_classes=list(bundle.selected_classes),
        mean=bundle.mean,
        standard_deviation=bundle.standard_deviation,
        train_batch_norm_statistics=bundle.train_batch_norm_statistics,
        normalization=list(roles.normalization),
        head=list(roles.head),
    )
    student = _open_spec(spec, task, input_size, classes, device, names=bundle.class_names)
    weakref.finalize(student.copy, shutil.rmtree, folder, True)
    same = np.array_equal(student.initial.values, bundle.values)
    if student.fingerprint != bundle.fingerprint or not same:
        raise ManifestMismatchError(
            f"the bundle '{bundle.path}' contradicts itself: its network starts with other tensors "
            "or values; write it again with ams.export.bundle()"
        )
    return student


def _open_spec(
    spec: StudentSpec,
    task: Any,
    input_size: tuple[int, int] | None,
    classes: int | Sequence[str] | None,
    device: torch.device,
    *,
    names: Sequence[str] | None = None,
) -> Student:
    from ..torch import load_student_values, open_network

    values = load_student_values(spec)

    def opened() -> Network:
        network = open_network(
            spec.network, num_classes=spec.num_classes, weights=spec.weights, seed=spec.seed
        )
        return network.eval().to(str(device))

    fitting = segmentation_of(
        spec, task, input_size, classes, names=names, align_corners=opened().align_corners
    )
    return Student(
        task=fitting,
        initial=ModelState(values.manifest, values.values),
        fingerprint=values.fingerprint,
        copy=opened,
        device=device,
        roles=Roles(spec.train_batch_norm_statistics, spec.normalization, spec.head),
    )


def _torch() -> Any:
    try:
        import torch

        import ams.torch  # noqa: F401  # of this build
    except ImportError as error:
        raise UnavailableError(
            f"a server, and a device of a module, need ams.torch: {error}"
        ) from error
    return torch
