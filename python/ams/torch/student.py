"""Both ends of a model that is streamed, without a session: for scripts and notebooks."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch

import ams
from ams._torch import Network, ParameterVector

from .gradient_guided_adam import GradientGuidedAdam
from .loss_check import backward, finite_loss
from .module_watch import ModuleWatch, require_free
from .tensor_roles import find_tensor_roles

RECOMMENDED = ams.FixedPolicy()
"""What ServerStudent does unless told otherwise."""


class ServerStudent:
    """The server's copy of a student: trains it in phases, and gives each as an encoded update.

        server = ams.torch.ServerStudent(model)
        device = ams.torch.DeviceStudent(copy.deepcopy(model))
        for frames in stream:                            # a list of batches
            update = server.train(lambda x: F.cross_entropy(model(x), teacher(x)), frames)
            device.apply(update)                         # bit for bit what the server holds

    The loss runs `model` itself (`server.module`), which must keep the tensors, their values and
    its batch-norm statistics as train() leaves them: load weights, replace layers, freeze, prune
    and convert before. Each phase checks that.

    By default it does what libams recommends, as `ams-server`: it trains and sends normalisation
    layers and head, or the whole module where that has no such layers. With `gamma` it trains the
    fraction that moved most. `strategy` (of `ams.selection_strategy_names()`) says something else.
    The multipliers of the learning rate `lr`, by role, are those of
    `ams.recommended_multipliers()` unless given. The paper's settings are `lr=1e-3, gamma=0.05,
    weight_multiplier=1, profile="reference"`. Other options are those of GradientGuidedAdam;
    `profile`, `zstd_level`, `relative_step` and `step_exponent` those of `ams.encode_update`.

    The module's values are what the device holds, rounding included; it runs in eval mode (batch
    norm frozen, its scale and shift trained). ModuleTrainer in an `ams.ServerSession` does the same
    for a device behind a link, with samples, rates and acknowledgements. Not thread-safe. Raises
    ams.InvalidArgumentError as GradientGuidedAdam does, and TypeError for an unknown option.
    """

    def __init__(
        self,
        module: torch.nn.Module | Network,
        *,
        strategy: str | None = None,
        gamma: float | None = None,
        lr: float = RECOMMENDED.learning_rate,
        weight_multiplier: float | None = None,
        normalization_multiplier: float | None = None,
        head_multiplier: float | None = None,
        profile: str = RECOMMENDED.profile,
        zstd_level: int = 1,
        relative_step: float = RECOMMENDED.relative_step,
        step_exponent: int | None = None,
        **options: Any,
    ) -> None:
        _check_options(options)
        if strategy is None:
            strategy = "gradient_guided" if gamma is not None else _strategy_for(module, options)
        gamma = 0.05 if gamma is None else gamma
        multipliers = ams.recommended_multipliers(
            strategy=strategy,
            gamma=gamma,
            weight_multiplier=weight_multiplier,
            normalization_multiplier=normalization_multiplier,
            head_multiplier=head_multiplier,
        )
        self._module = module
        self._encoding = {
            "profile": profile,
            "zstd_level": zstd_level,
            "relative_step": relative_step,
            "step_exponent": step_exponent,
        }
        _check_encoding(self._encoding)  # before the module changes, and not after a phase
        self._optimizer = GradientGuidedAdam(
            module, strategy=strategy, gamma=gamma, lr=lr, **multipliers, **options
        )
        self._watch = self._optimizer._watch
        self._held = ams.ModelState(self.manifest, self._optimizer.vector.copy())

    @property
    def module(self) -> torch.nn.Module | Network:
        """What is trained; the loss must be computed from its outputs."""
        return self._module

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
        gradient for the student, and when there is no batch to make a step on. This and any other
        exception (from `loss`, or Ctrl-C) leave the student as the device holds it. Raises
        ams.InvalidArgumentError also for a module that is not what the device holds any more, and
        leaves it as it is.
        """
        vector = self._optimizer.vector
        self._watch.check()
        self._watch.check_statistics()
        self._watch.check_values(self._held.values)
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
                backward(value, number, () if has_step else self._watch.tensors)
                self._optimizer.step()
                has_step = True
            if not has_step:
                raise ams.InvalidArgumentError(
                    "a phase needs at least one batch whose loss is not None; there was none"
                )
            self._watch.check()
            self._watch.check_statistics()
            return ams.encode_update(self._held, vector.copy(), coordinates, **self._encoding)
        finally:
            vector.load(self._held.values)  # as the device decodes them: rounding never adds up
            self._optimizer.end_phase()

    def snapshot(self) -> bytes:
        """The whole student, for a device that begins later or has lost an update."""
        return ams.encode_snapshot(self._held)

    def state_dict(self) -> dict[str, Any]:
        """What load_state_dict() goes on from, e.g. for torch.save(): `held`, what the device holds,
        as snapshot() gives it, and `optimizer`, Adam's memory."""
        return {"held": self.snapshot(), "optimizer": self._optimizer.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from state_dict() of a student with equal tensors: the device of that one follows
        this one. Raises ams.InvalidArgumentError for another dictionary, ams.MalformedDataError,
        ams.DigestMismatchError and ams.ManifestMismatchError for a damaged snapshot or one of another
        network, and leaves the student as it is."""
        if set(state) != {"held", "optimizer"}:
            raise ams.InvalidArgumentError(
                f"the state has {sorted(map(str, state))}; wanted are held and optimizer"
            )
        held = ams.decode_snapshot(state["held"], self.manifest)
        before = self._optimizer.state_dict()
        try:
            self._optimizer.load_state_dict(state["optimizer"])
        except Exception:
            self._optimizer.load_state_dict(before)
            raise
        self._held = held
        self._optimizer.vector.load(held.values)


class DeviceStudent:
    """The device's copy of a student, which updates keep equal to the server's, bit for bit.

    `module`: equal to the server's at the beginning, or else the first thing applied is a snapshot.
    Its parameters are frozen, and it runs in eval mode; it must keep its tensors. Not thread-safe.
    """

    def __init__(self, module: torch.nn.Module | Network) -> None:
        require_free(module, trains=False)
        self._module = module
        self._vector = ParameterVector(module)
        self._watch = ModuleWatch(module, self._vector, trains=False)
        self._is_checked = False
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
        """The module's outputs. The first call after each update checks the module as apply()."""
        if not self._is_checked:
            self._watch.check()
            self._is_checked = True
        return self._module(*inputs)

    def apply(self, update: bytes) -> ams.UpdateInfo:
        """Takes over an update: all of it, or an ams.Error and nothing. Raises
        ams.InvalidArgumentError when the module has other tensors, values or batch-norm statistics
        than it was given here."""
        self._watch.check()
        self._watch.check_statistics()
        self._watch.check_values(self._held.values)
        with _comparison_hint(self.manifest):
            info = ams.apply_update(update, self._held)
        self._vector.load(self._held.values)
        self._is_checked = False
        return info

    def restore(self, snapshot: bytes) -> None:
        """Takes over a snapshot: all of it, or an ams.Error and nothing. Raises
        ams.InvalidArgumentError when the module has other tensors than it had."""
        self._watch.check()
        with _comparison_hint(self.manifest):
            self._held = ams.decode_snapshot(snapshot, self.manifest)
        self._vector.load(self._held.values)
        self._is_checked = False


def _strategy_for(module: torch.nn.Module | Network, options: Mapping[str, Any]) -> str:
    """As ams.FixedPolicy chooses it."""
    if isinstance(module, torch.nn.Module):
        trained = {name for name, tensor in module.named_parameters() if tensor.requires_grad}
        roles = find_tensor_roles(module)
        has_normalization = any(roles.get(name) == "normalization" for name in trained)
    else:
        require_free(module, trains=True)
        tensors = ParameterVector(module).manifest.tensors
        has_normalization = any(tensor.role == "normalization" for tensor in tensors)
    has_normalization |= bool(options.get("normalization"))
    return "normalization_and_head" if has_normalization else "full"


@contextlib.contextmanager
def _comparison_hint(manifest: ams.Manifest) -> Iterator[None]:
    """An update has its manifest's digest alone: say how to find what differs."""
    try:
        yield
    except (ams.ManifestMismatchError, ams.BaseVersionMismatchError) as error:
        raise type(error)(
            f"{error}. This module has {len(manifest.tensors)} tensors of {manifest.dimension} "
            "values (what requires_grad was off for when the student was made is not among them); "
            "server.manifest.difference(device.manifest) names those that differ"
        ) from None


def _check_encoding(encoding: Mapping[str, Any]) -> None:
    state = ams.ModelState(ams.Manifest([("probe", (1,))]), np.zeros(1, np.float32))
    ams.encode_update(state, np.ones(1, np.float32), ams.CoordinateSet.all(1), **encoding)


def _check_options(options: Mapping[str, Any]) -> None:
    """Here, so that the error names what was called and all that it takes."""
    functions = (ServerStudent.__init__, GradientGuidedAdam.__init__)
    allowed = dict.fromkeys(
        parameter.name
        for function in functions
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind is parameter.KEYWORD_ONLY
    )
    for name in options:
        if name not in allowed:
            raise TypeError(
                f"ServerStudent() has no keyword argument {name!r}; allowed are "
                + ", ".join(allowed)
            )
