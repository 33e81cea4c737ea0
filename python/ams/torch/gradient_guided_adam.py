"""Algorithm 2 as an optimiser of torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

import torch

import ams
from ams._torch import ParameterVector, TensorAdam

from .module_watch import ModuleWatch, require_free
from .tensor_roles import warn_of_other_heads

_ROLES = ("weight", "normalization", "head")
_PROBE = ams.Manifest([(role, (1,), "parameter", role) for role in _ROLES])
"""Something of which every strategy can choose."""


class GradientGuidedAdam(torch.optim.Optimizer):
    """Adam that in each training phase moves a fraction of the parameters (section 3.1.2).

        optimizer = ams.torch.GradientGuidedAdam(model, lr=1e-3, gamma=0.05)
        coordinates = optimizer.begin_phase()     # the 5% that moved most in the phase before
        for inputs, targets in batches:
            optimizer.zero_grad()
            loss_of(model(inputs), targets).backward()
            optimizer.step()                      # all other parameters are as they were

    `params`: a module, its `named_parameters()`, or a ParameterVector. All that require a gradient
    are trained, as one vector (`.vector`); they become views of it, so move and convert the module
    before. Each phase checks that they still are, with the `requires_grad` that they had: a layer
    that is replaced, `load_state_dict(assign=True)` and their like are refused. `strategy` (of
    `ams.selection_strategy_names()`) and `gamma`, in (0, 1], say which fraction; `seed` governs
    random choices. At `gamma=1` every phase is Adam, equal to `torch.optim.Adam` within rounding.

    Strategies by group, such as `normalization_and_head`, go by the roles of the tensors, which
    follow from the types of a module's layers (see ParameterVector); `normalization` and `head`,
    patterns of names, take their place. The head is one layer, the last: a warning says when there
    seem to be more, and `head=["depth.*", "labels.*"]` names several. Each role's parameters move
    at `lr` times its multiplier, which is 1 as in the paper. `ams-server` trains a fraction up to
    sixteen times as fast; for that pass, say,
    `**ams.recommended_multipliers(strategy="gradient_guided", gamma=0.05)`.

    The options stand in `param_groups[0]` and may change at any time: `lr`, `betas` and `eps` for
    the next step, which is how learning-rate schedulers work, `gamma`, `strategy` and the
    multipliers for the next phase. There is one parameter group: the coordinates are chosen over
    all parameters together.

    Not thread-safe. Raises ams.InvalidArgumentError that names what is allowed.
    """

    def __init__(
        self,
        params: torch.nn.Module | Iterable[tuple[str, torch.Tensor]] | ParameterVector,
        *,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        gamma: float = 0.05,
        strategy: str = "gradient_guided",
        weight_multiplier: float = 1,
        normalization_multiplier: float = 1,
        head_multiplier: float = 1,
        seed: int = 0,
        normalization: Sequence[str] = (),
        head: Sequence[str] = (),
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "gamma": gamma,
            "strategy": strategy,
            "weight_multiplier": weight_multiplier,
            "normalization_multiplier": normalization_multiplier,
            "head_multiplier": head_multiplier,
        }
        source = params
        if not isinstance(params, ParameterVector):
            source = _named(params)
            _selector(_PROBE, defaults, seed)  # before the module changes
            require_free(source, trains=True)
            params = ParameterVector(source, normalization=list(normalization), head=list(head))
            trains_head_apart = "head" in strategy or head_multiplier != weight_multiplier
            if isinstance(source, torch.nn.Module) and trains_head_apart and not head:
                warn_of_other_heads(source)
        elif normalization or head:
            raise ams.InvalidArgumentError(
                "normalization and head are given to the ParameterVector itself"
            )
        self._vector = params
        self._watch = ModuleWatch(source, params, trains=True)
        selection = _selector(self._vector.manifest, defaults, seed).state()
        self._seed = seed
        self._phase_count = 0
        self._coordinates = selection["coordinates"]
        self._multipliers = _multipliers(defaults)
        self._adam = self._adam_of(selection, defaults)
        tensors = zip(self._vector.named_tensors(), self._vector.manifest.tensors, strict=True)
        parameters = [tensor for (_, tensor), spec in tensors if spec.kind == "parameter"]
        super().__init__(parameters, defaults)

    @property
    def vector(self) -> ParameterVector:
        """The parameters and their gradients as flat tensors."""
        return self._vector

    @property
    def coordinates(self) -> ams.CoordinateSet:
        """I_n, what the current phase trains; empty before the first."""
        return self._coordinates

    @property
    def update(self) -> torch.Tensor:
        """u of the latest step (line 12): float32 [dimension], zeros before the first."""
        return self._adam.update()

    def begin_phase(self) -> ams.CoordinateSet:
        """Chooses what the coming steps move (lines 1 to 5), and gives it.

        Tensors whose gradient the strategy does not ask for get `requires_grad` off until
        end_phase() or a later phase that asks for it, so that backward() does not compute it.
        Gradients are zero then. Raises ams.InvalidArgumentError when the module's tensors are not
        those of the vector any more.
        """
        self._watch.check()
        selector = _selector(self._vector.manifest, self.param_groups[0], self._seed)
        state = self._selection_state()
        selector.restore(state)
        coordinates = selector.begin_phase()
        if _multipliers(self.param_groups[0]) != self._multipliers:
            self._adam = self._adam_of(self._adam.state(), self.param_groups[0])
            self._multipliers = _multipliers(self.param_groups[0])
        self._adam.begin_phase(coordinates)
        self._watch.require_gradients(selector.required_gradients())
        self._coordinates = coordinates
        self._phase_count = 1 + (self._phase_count if state["step_count"] > 0 else 0)
        return coordinates

    def end_phase(self) -> None:
        """Turns `requires_grad` on again for all that may be trained, as it was before the first
        phase: whoever copies or exports the module then sees all of its trainable tensors. A new
        phase may begin without it."""
        self._watch.require_gradients([True] * len(self._vector.manifest.tensors))

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One iteration (lines 9 to 13). `closure` computes the loss anew, and gives it."""
        if self._phase_count == 0:
            raise ams.InvalidArgumentError("step() before begin_phase(): nothing is chosen yet")
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self._vector.gather_gradients()
        self._adam.set_options(**_adam_options(self.param_groups[0]))
        self._adam.step(self._vector.values, self._vector.gradients)
        return loss

    def zero_grad(self, set_to_none: bool = False) -> None:
        """Zeros the gradients; they stay where they are, also with `set_to_none`."""
        self._vector.gather_gradients()
        self._vector.zero_gradients()

    def state_dict(self) -> dict[str, Any]:
        """All that goes on: load it into an optimiser of an equal module, in any process, and the
        phases to come are the same bit for bit. Parameters are not in it. Tensors are copies on
        the CPU; safe for `torch.load(weights_only=True)`.
        """
        state = self._selection_state()
        coordinates = state["coordinates"]
        indices = None
        if not coordinates.is_all:
            indices = torch.from_numpy(coordinates.indices.astype("int64"))
        return {
            "state": {
                "manifest_digest": f"{self._vector.manifest.digest:016x}",
                "step_count": state["step_count"],
                "phase_count": state["phase_count"],
                "seed": state["seed"],
                "first_moment": torch.from_numpy(state["first_moment"].copy()),
                "second_moment": torch.from_numpy(state["second_moment"].copy()),
                "coordinates": indices,
            },
            "param_groups": super().state_dict()["param_groups"],
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from a `state_dict()`. Raises ams.ManifestMismatchError for that of another
        network and ams.InvalidArgumentError for what is no state, with nothing changed.
        """
        try:
            saved = state_dict["state"]
            (group,) = state_dict["param_groups"]
            if group["params"] != super().state_dict()["param_groups"][0]["params"]:
                raise ValueError("of other parameters")
            options = {key: group[key] for key in self.defaults}
            digest = saved["manifest_digest"]
            if digest != f"{self._vector.manifest.digest:016x}":
                raise ams.ManifestMismatchError(
                    f"this state belongs to another network: of manifest {digest}, and this one "
                    f"has {self._vector.manifest.digest:016x}; compare names and shapes of the "
                    "parameters that require a gradient (Manifest.difference names what differs)"
                )
            dimension = self._vector.manifest.dimension
            indices = saved["coordinates"]
            state = {
                "first_moment": saved["first_moment"].cpu().numpy(),
                "second_moment": saved["second_moment"].cpu().numpy(),
                "step_count": saved["step_count"],
                "coordinates": ams.CoordinateSet.all(dimension)
                if indices is None
                else ams.CoordinateSet.from_sorted(dimension, indices.cpu().numpy()),
                "phase_count": saved["phase_count"],
                "seed": saved["seed"],
            }
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            if isinstance(error, ams.Error):
                raise
            raise ams.InvalidArgumentError(
                f"this is no state_dict() of GradientGuidedAdam: {type(error).__name__} {error}"
            ) from None
        selector = _selector(self._vector.manifest, options, state["seed"])
        selector.restore(state)
        adam = self._adam_of(state, options)
        if state["phase_count"] > 0:
            adam.begin_phase(state["coordinates"])
        super().load_state_dict({"state": {}, "param_groups": state_dict["param_groups"]})
        if state["phase_count"] > 0:
            self._watch.require_gradients(selector.required_gradients())
        self._adam = adam
        self._multipliers = _multipliers(options)
        self._seed = state["seed"]
        self._phase_count = state["phase_count"]
        self._coordinates = state["coordinates"]

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Refused: see the class."""
        if self.param_groups:
            _refuse_groups()
        super().add_param_group(param_group)

    def __getstate__(self) -> NoReturn:
        raise TypeError("GradientGuidedAdam is not copied or pickled: use its state_dict()")

    def _adam_of(self, state: dict[str, Any], options: dict[str, Any]) -> TensorAdam:
        return TensorAdam(
            state["first_moment"],
            state["second_moment"],
            state["step_count"],
            device=self._vector.values.device,
            ranges=ams.learning_rate_ranges(self._vector.manifest, **_multipliers(options)),
            **_adam_options(options),
        )

    def _selection_state(self) -> dict[str, Any]:
        """As ams.GradientGuidedAdam.state()."""
        return {
            **self._adam.state(),
            "coordinates": self._coordinates,
            "phase_count": self._phase_count,
            "seed": self._seed,
        }


def _named(
    params: torch.nn.Module | Iterable[tuple[str, torch.Tensor]],
) -> torch.nn.Module | list[tuple[str, torch.Tensor]]:
    if hasattr(params, "named_parameters"):
        return params
    if not isinstance(params, Iterable):
        raise ams.InvalidArgumentError(
            f"params is of type {type(params).__name__}; pass the module, or its named_parameters()"
        )
    named = list(params)
    if any(isinstance(item, dict) for item in named):
        _refuse_groups()
    if not all(isinstance(item, tuple) and isinstance(item[0], str) for item in named):
        raise ams.InvalidArgumentError(
            "parameters need their names, by which updates know them: pass the module, or "
            "module.named_parameters() instead of module.parameters()"
        )
    return named


def _refuse_groups() -> NoReturn:
    raise ams.InvalidArgumentError(
        "GradientGuidedAdam has one parameter group: coordinates are chosen over all parameters "
        "together; pass the module itself, and freeze with requires_grad_(False) what shall not be "
        "trained; for rates of their own there are normalization_multiplier and head_multiplier"
    )


def _adam_options(group: dict[str, Any]) -> dict[str, float]:
    try:
        beta1, beta2 = group["betas"]
    except (TypeError, ValueError):
        raise ams.InvalidArgumentError(
            f"betas is {group['betas']!r}; allowed are two numbers from 0 to below 1"
        ) from None
    return {
        "learning_rate": float(group["lr"]),
        "beta1": beta1,
        "beta2": beta2,
        "epsilon": group["eps"],
    }


def _multipliers(group: dict[str, Any]) -> dict[str, float]:
    """Of the learning rate, by role."""
    return {f"{role}_multiplier": group[f"{role}_multiplier"] for role in _ROLES}


def _selector(manifest: ams.Manifest, group: dict[str, Any], seed: int) -> ams.GradientGuidedAdam:
    """Core's optimiser, which knows how coordinates are chosen."""
    return ams.GradientGuidedAdam(
        manifest,
        gamma=group["gamma"],
        strategy=group["strategy"],
        seed=seed,
        **_adam_options(group),
        **_multipliers(group),
    )
