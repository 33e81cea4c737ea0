"""Whether a module still has the tensors that its parameter vector was made of."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

import numpy as np
import torch
from torch.utils.weak import WeakTensorKeyDictionary

import ams
from ams._torch import ParameterVector

from .wrappers import without_wrappers

_holders: Any = WeakTensorKeyDictionary()
"""Parameter -> weak reference to the latest ModuleWatch of a vector with it."""

_STATISTICS = ("running_mean", "running_var")


def require_free(source: Any, *, trains: bool) -> None:
    """Raises ams.InvalidArgumentError when `source`, as ParameterVector takes it, is in use at the
    other end. Call it before the vector is made: that changes the module."""
    named = source.named_parameters() if hasattr(source, "named_parameters") else source
    if not isinstance(named, Iterable):
        return
    for _, tensor in named:
        holder = _holders.get(tensor, lambda: None)()
        if holder is None or holder.trains == trains:
            continue
        here, there = _ends(trains)
        raise ams.InvalidArgumentError(
            f"this module is already {there}, and {here} needs one of its own: give it "
            "copy.deepcopy(module), made before either end changes the module"
        )


def _ends(trains: bool) -> tuple[str, str]:
    device, server = "a DeviceStudent's", "trained by a ServerStudent, ModuleTrainer or optimiser"
    return ("what trains", device) if trains else ("a DeviceStudent", server)


class ModuleWatch:
    """What a module was when its ParameterVector was made, to compare with what it is later.

    torch tells nobody when a module gets other tensors: what is trained and sent would then not be
    what the module computes with. Checks take about two microseconds a tensor. Not thread-safe.
    """

    def __init__(self, source: Any, vector: ParameterVector, *, trains: bool) -> None:
        """source: the module, or whatever else the vector was made of. trains: not the device's."""
        self.trains = trains
        self._module = source if hasattr(source, "named_parameters") else None
        self._vector = vector
        self._own = vector.named_tensors()
        self._specs = vector.manifest.tensors
        self._tensors = self._tensors_now()
        own = {id(tensor) for _, tensor in self._own}
        others = {name: t for name, t in self._tensors.items() if id(t) not in own}
        self._frozen = {n: t for n, t in others.items() if not n.endswith(_STATISTICS)}
        self._statistics = {n: t.clone() for n, t in others.items() if n.endswith(_STATISTICS)}
        self._required: list[bool] = []
        self.require_gradients([trains] * len(self._own))
        for _, tensor in self._own:
            _holders[tensor] = weakref.ref(self)

    @property
    def tensors(self) -> list[torch.Tensor]:
        """Those of the vector."""
        return [tensor for _, tensor in self._own]

    def require_gradients(self, flags: Sequence[bool]) -> None:
        """ParameterVector.set_required_gradients(), so that later changes are noticed."""
        self._vector.set_required_gradients(flags)
        self._required = [
            flag and spec.kind == "parameter" for flag, spec in zip(flags, self._specs, strict=True)
        ]

    def check(self) -> None:
        """Raises ams.InvalidArgumentError unless the module's tensors are those of the vector, with
        the `requires_grad` that they were given."""
        self._check_places()
        now = self._tensors_now()
        gone, new = self._tensors.keys() - now.keys(), now.keys() - self._tensors.keys()
        if gone or new:
            parts = [f"gone are {self._some(gone)}"] if gone else []
            parts += [f"new are {self._some(new)}"] if new else []
            self._refuse(
                f"{' and '.join(parts)} (a layer added, removed or fused; a parametrization or "
                "pruning)"
            )
        replaced = [
            name
            for name, tensor in self._tensors.items()
            if now[name] is not tensor and name not in self._statistics
        ]
        if replaced:
            self._refuse(
                f"replaced are {self._some(replaced)} (load_state_dict(assign=True), a new layer "
                "or head, tied weights)"
            )
        if self.trains:
            self._check_requires_grad()

    def check_statistics(self) -> None:
        """Raises ams.InvalidArgumentError when batch-norm statistics that no update carries have
        moved."""
        now = self._tensors_now()
        moved = [n for n, t in self._statistics.items() if not torch.equal(t, now[n].to(t))]
        if moved:
            self._refuse(
                f"batch-norm statistics moved, {self._some(moved)}, which updates do not carry (it "
                "ran in training mode, or was loaded); keep it in eval() mode"
            )

    def check_values(self, held: np.ndarray) -> None:
        """Raises ams.InvalidArgumentError unless the values are `held`, float32 [dimension]."""
        values = self._vector.values
        host = values.numpy() if values.device.type == "cpu" else self._vector.copy()
        if np.array_equal(host, held):
            return
        places = [(spec.name, slice(spec.offset, spec.offset + spec.size)) for spec in self._specs]
        changed = [n for n, place in places if not np.array_equal(host[place], held[place])]
        self._refuse(
            f"other values, which the other end does not know, are in {self._some(changed)} "
            "(load_state_dict(), an averaged model swapped in, initialisation, another optimiser)"
        )

    def _tensors_now(self) -> dict[str, torch.Tensor]:
        """By every name, so that tied weights count."""
        if self._module is None:
            return dict(self._own)
        if not isinstance(self._module, torch.nn.Module):
            return dict(self._module.named_parameters())
        tensors = dict(self._module.named_parameters(remove_duplicate=False))
        for name, buffer in self._module.named_buffers(remove_duplicate=False):
            if name.endswith(_STATISTICS):
                tensors[name] = buffer
        return tensors

    def _check_places(self) -> None:
        values = self._vector.values
        begin, size = values.data_ptr(), values.element_size()
        for (_, tensor), spec in zip(self._own, self._specs, strict=True):
            if tensor.data_ptr() == begin + spec.offset * size and tensor.shape == spec.shape:
                continue
            holder = _holders.get(tensor, lambda: None)()
            if holder is not None and holder is not self:
                self._refuse(
                    "its parameters have been taken over by another ServerStudent, DeviceStudent, "
                    "ModuleTrainer or optimiser, which was made later"
                )
            self._refuse(
                f"'{spec.name}' is {str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)} "
                f"on {tensor.device} in memory of its own (.to(), .half(), .data = ...)"
            )

    def _check_requires_grad(self) -> None:
        wrong = [
            spec.name
            for (_, tensor), spec, required in zip(
                self._own, self._specs, self._required, strict=True
            )
            if tensor.requires_grad != required
        ]
        wrong += [name for name, tensor in self._frozen.items() if tensor.requires_grad]
        if wrong:
            self._refuse(f"requires_grad is another one in {self._some(wrong)}")

    def _some(self, names: Iterable[str]) -> str:
        """The first few in the module's order, and how many more."""
        place = {name: i for i, name in enumerate(self._tensors)}
        ordered = sorted(names, key=lambda name: (place.get(name, len(place)), name))
        plain_name = str
        if isinstance(self._module, torch.nn.Module):
            plain_name = without_wrappers(self._module)
        text = ", ".join(f"'{plain_name(name)}'" for name in ordered[:3])
        return text + (f" and {len(ordered) - 3} more" if len(ordered) > 3 else "")

    def _refuse(self, what: str) -> NoReturn:
        if self.trains:
            remedy = (
                "change the module first; then make a new ServerStudent, ModuleTrainer or "
                "GradientGuidedAdam of it, and give the device a copy of it or a snapshot"
            )
        else:
            remedy = (
                "change the module first; then make a new DeviceStudent of it, and restore() a "
                "snapshot of the server's"
            )
        raise ams.InvalidArgumentError(
            f"the module is not what its parameter vector was made of any more: {what}. What it "
            f"computes would not be what is sent: {remedy}"
        )
