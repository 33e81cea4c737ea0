"""Training phases of any module, task and loss."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import default_collate

import ams
from ams._torch import Network, ParameterVector, TensorAdam, training_result

from .loss_check import backward, finite_loss
from .module_watch import ModuleWatch, require_free
from .tensor_roles import warn_of_other_heads

Collate = Callable[[Sequence[Any]], tuple[Any, Any]]
Loss = Callable[[Any, Any], "torch.Tensor | None"]


class ModuleTrainer:
    """Runs training phases (Algorithm 2) of a module: what `ServerSession.begin_phase` hands out.

    `module`: a torch.nn.Module, or a Network of libams. `loss(outputs, targets)` gives the scalar
    to minimise, or None for a mini-batch that says nothing: it makes no step and counts as loss 0.
    `collate(samples)` makes `(inputs, targets)` of a list of samples; the default stacks samples
    that are such pairs (`torch.utils.data.default_collate`). Tensors in them, also in lists, tuples
    and dictionaries, are moved to `device` (default: where the module is).

    `forward(module, inputs)` gives the outputs where `module(inputs)` does not, e.g. for a module that
    takes several arguments.

    `score(outputs, targets)`: how good outputs are, in [0, 1], or None; it decides from which of
    the states that a policy offers a phase starts. By default exp(-loss).

    The module runs in eval mode: batch norm is frozen (its scale and shift are trained), drop-out
    off. With `with_statistics` it runs in training mode, and the moving statistics are trained and
    sent. Only the gradients that a job requires are computed. `normalization` and `head`: patterns
    of names where the roles that the layers' types tell are not the right ones (see
    ParameterVector); begin the session with `manifest`, which has them. The module's values are
    those of the latest phase. Its tensors must remain those that it had when the trainer was made.
    Not thread-safe. Raises ams.InvalidArgumentError as ParameterVector does.
    """

    def __init__(
        self,
        module: torch.nn.Module | Network,
        *,
        loss: Loss,
        collate: Collate | None = None,
        score: Callable[[Any, Any], float | None] | None = None,
        forward: Callable[[Any, Any], Any] | None = None,
        device: torch.device | str | None = None,
        with_statistics: bool = False,
        normalization: Sequence[str] = (),
        head: Sequence[str] = (),
    ) -> None:
        if not all(part is None or callable(part) for part in (collate, score, forward)):
            raise ams.InvalidArgumentError("collate, score and forward must be callable")
        if not callable(loss):
            raise ams.InvalidArgumentError("loss must be callable")
        require_free(module, trains=True)
        if device is not None:
            module.to(torch.device(device))
        self._module = module
        self._loss = loss
        self._score = score or self._score_by_loss
        self._collate = collate or default_collate
        self._forward = forward or _call
        self._with_statistics = with_statistics
        self._vector = ParameterVector(
            module,
            with_statistics=with_statistics,
            normalization=list(normalization),
            head=list(head),
        )
        self._watch = ModuleWatch(module, self._vector, trains=True)
        if isinstance(module, torch.nn.Module) and not head:
            warn_of_other_heads(module)

    @property
    def manifest(self) -> ams.Manifest:
        """Layout of the parameter vector, with the tensors' roles."""
        return self._vector.manifest

    @property
    def vector(self) -> ParameterVector:
        """The module's values, of which `copy()` makes the state to begin with."""
        return self._vector

    def train(self, job: ams.TrainingJob) -> ams.TrainingResult:
        """Runs one phase. Raises ams.ManifestMismatchError for another network's job and
        ams.InvalidArgumentError for a loss without a gradient, a loss or values that are not
        finite, and a module whose tensors are not the trainer's any more; what the module, the loss
        or collate raise comes through. The trainer remains usable after any of these, and after
        Ctrl-C.
        """
        start = time.perf_counter()
        if job.manifest.digest != self.manifest.digest:
            raise ams.ManifestMismatchError(
                "the training job belongs to another network: "
                + self.manifest.difference(job.manifest, "this module", "the job")
            )
        self._watch.check()
        self._watch.check_statistics()
        vector, device = self._vector, self._vector.values.device
        scores = job.try_starts(self._score_of)
        vector.load(job.parameters)
        try:
            self._watch.require_gradients(job.required_gradients)
            self._module.train(self._with_statistics)
            adam = TensorAdam.of_job(job, device=device)
            losses: list[float] = []
            has_step = False
            # Drop-out, if there is any, must not depend on what else the process draws.
            with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
                torch.manual_seed(adam.step_count)
                for number, samples in enumerate(job.mini_batches, start=1):
                    if not samples:
                        raise ams.InvalidArgumentError(f"mini-batch {number} of the job is empty")
                    inputs, targets = self._collate(list(samples))
                    vector.zero_gradients()
                    with torch.enable_grad():
                        outputs = self._forward(self._module, to_device(inputs, device))
                        value = self._loss(outputs, to_device(targets, device))
                    losses.append(finite_loss(value, number))
                    if value is None:
                        continue
                    backward(value, number, () if has_step else self._watch.tensors)
                    vector.gather_gradients()
                    adam.step(vector.values, vector.gradients)
                    has_step = True
            if not torch.isfinite(vector.values).all():
                raise ams.InvalidArgumentError(
                    "training led to parameters that are not finite; lower the learning rate or "
                    "its multipliers"
                )
            self._watch.check()
            self._watch.check_statistics()
            return training_result(vector, adam, losses, time.perf_counter() - start, scores)
        finally:
            # Whoever copies or exports the module sees all of its trainable tensors.
            self._watch.require_gradients([True] * len(self.manifest.tensors))

    @torch.no_grad()
    def _score_of(self, values: np.ndarray, samples: list[Any]) -> float | None:
        device = self._vector.values.device
        self._vector.load(values)
        self._module.train(False)
        inputs, targets = (to_device(part, device) for part in self._collate(samples))
        return self._score(self._forward(self._module, inputs), targets)

    def _score_by_loss(self, outputs: Any, targets: Any) -> float | None:
        value = self._loss(outputs, targets)
        if value is None:
            return None
        # What has diverged is worth nothing.
        loss = float(value) if value.numel() == 1 else math.nan
        return math.exp(-max(0.0, loss)) if math.isfinite(loss) else 0.0


def _call(module: Any, inputs: Any) -> Any:
    return module(inputs)


def to_device(value: Any, device: torch.device) -> Any:
    """The tensors of a value, also in lists, tuples and dictionaries, on a device."""
    if isinstance(value, torch.Tensor):
        return value.to(device)
    if isinstance(value, dict):
        return {key: to_device(item, device) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(to_device(item, device) for item in value))
    if isinstance(value, (list, tuple)):
        return type(value)(to_device(item, device) for item in value)
    return value
