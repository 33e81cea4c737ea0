"""Both ends of a model that is streamed, without a session: for scripts and notebooks."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch

import ams
from ams._torch import Network, ParameterVector

from .gradient_guided_adam import GradientGuidedAdam
from .loss_check import finite_loss


class ServerStudent:
    """The server's copy of a student: trains it in phases, and gives each as an encoded update.

        server = ams.torch.ServerStudent(model, lr=1e-3, gamma=0.05)
        device = ams.torch.DeviceStudent(copy.deepcopy(model))
        for frames in stream:                            # a list of batches
            update = server.train(lambda x: F.cross_entropy(model(x), teacher(x)), frames)
            device.apply(update)                         # bit for bit what the server holds

    `module` and the options are those of GradientGuidedAdam; `profile`, `zstd_level`,
    `relative_step` and `step_exponent` those of `ams.encode_update`. A fraction learns at `lr`
    itself, as in the paper; `**ams.recommended_multipliers(strategy="gradient_guided", gamma=0.05)`
    among the options makes that sixteen times as fast, as `ams-server --strategy gradient_guided`.

    The module's values are what the device holds, rounding included; it runs in eval mode (batch
    norm frozen, its scale and shift trained). ModuleTrainer in an `ams.ServerSession` does the same
    for a device behind a link, with samples, rates and acknowledgements. Not thread-safe. Raises
    ams.InvalidArgumentError as GradientGuidedAdam does, and TypeError for an unknown option.
    """

    def __init__(
        self,
        module: torch.nn.Module | Network,
        *,
        profile: str = "reference",
        zstd_level: int = 1,
        relative_step: float = 1,
        step_exponent: int | None = None,
        **options: Any,
    ) -> None:
        _check_options(options)
        self._module = module
        self._encoding = {
            "profile": profile,
            "zstd_level": zstd_level,
            "relative_step": relative_step,
            "step_exponent": step_exponent,
        }
        _check_encoding(self._encoding)  # before the module changes, and not after a phase
        self._optimizer = GradientGuidedAdam(module, **options)
        self._held = ams.ModelState(self.manifest, self._optimizer.vector.copy())

    @property
    def manifest(self) -> ams.Manifest:
        """Layout of the parameter vector, equal on both ends."""
        return self._optimizer.vector.manifest

    @property
    def version(self) -> ams.ModelVersion:
        """What the device holds once it has applied the latest update."""
        return self._held.version

    @property
    def optimizer(self) -> GradientGuidedAdam:
        """The optimiser, for its options and learning-rate schedulers."""
        return self._optimizer

    def train(self, loss: Callable[..., torch.Tensor | None], batches: Iterable[Any]) -> bytes:
        """One training phase: a step on `loss(batch)` for each batch. Gives the encoded update.

        `loss` gives the scalar to minimise, or None for a batch that says nothing: it makes no
        step. Raises ams.InvalidArgumentError for a loss that is no scalar, not finite or without a
        gradient, and when there is no batch to make a step on. This and any other exception (from
        `loss`, or Ctrl-C) leave the student as the device holds it.
        """
        vector = self._optimizer.vector
        self._module.eval()  # training mode would move batch-norm statistics that nobody sends
        try:
            coordinates = self._optimizer.begin_phase()
            has_step = False
            for number, batch in enumerate(batches, start=1):
                self._optimizer.zero_grad()
                value = loss(batch)
                finite_loss(value, number)
                if value is None:
                    continue
                if not value.requires_grad:
                    raise ams.InvalidArgumentError(
                        f"the loss of mini-batch {number} has no gradient; compute it from the "
                        "module's outputs, without detach() and outside of torch.no_grad()"
                    )
                value.backward()
                self._optimizer.step()
                has_step = True
            if not has_step:
                raise ams.InvalidArgumentError(
                    "a phase needs at least one batch whose loss is not None; there was none"
                )
            return ams.encode_update(self._held, vector.copy(), coordinates, **self._encoding)
        finally:
            vector.load(self._held.values)  # as the device decodes them: rounding never adds up
            self._optimizer.end_phase()

    def snapshot(self) -> bytes:
        """The whole student, for a device that begins later or has lost an update."""
        return ams.encode_snapshot(self._held)


class DeviceStudent:
    """The device's copy of a student, which updates keep equal to the server's, bit for bit.

    `module`: equal to the server's at the beginning, or else the first thing applied is a snapshot.
    Its parameters are frozen. Not thread-safe.
    """

    def __init__(self, module: torch.nn.Module | Network) -> None:
        self._module = module
        self._vector = ParameterVector(module)
        self._vector.set_required_gradients([False] * len(self._vector.manifest.tensors))
        self._held = ams.ModelState(self._vector.manifest, self._vector.copy())
        module.eval()

    @property
    def manifest(self) -> ams.Manifest:
        """Layout of the parameter vector, equal on both ends."""
        return self._vector.manifest

    @property
    def version(self) -> ams.ModelVersion:
        """What is held now."""
        return self._held.version

    @torch.no_grad()
    def __call__(self, *inputs: Any) -> Any:
        """The module's outputs."""
        return self._module(*inputs)

    def apply(self, update: bytes) -> ams.UpdateInfo:
        """Takes over an update: all of it, or an ams.Error and nothing."""
        info = ams.apply_update(update, self._held)
        self._vector.load(self._held.values)
        return info

    def restore(self, snapshot: bytes) -> None:
        """Takes over a snapshot: all of it, or an ams.Error and nothing."""
        self._held = ams.decode_snapshot(snapshot, self.manifest)
        self._vector.load(self._held.values)


def _check_encoding(encoding: Mapping[str, Any]) -> None:
    state = ams.ModelState(ams.Manifest([("probe", (1,))]), np.zeros(1, np.float32))
    ams.encode_update(state, np.ones(1, np.float32), ams.CoordinateSet.all(1), **encoding)


def _check_options(options: Mapping[str, Any]) -> None:
    """Here, so that the error names what was called and all that it takes."""
    functions = (ServerStudent.__init__, GradientGuidedAdam.__init__)
    allowed = [
        parameter.name
        for function in functions
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind is parameter.KEYWORD_ONLY
    ]
    for name in options:
        if name not in allowed:
            raise TypeError(
                f"ServerStudent() has no keyword argument {name!r}; allowed are "
                + ", ".join(allowed)
            )
