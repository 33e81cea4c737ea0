"""A student's network as an ExecuTorch program whose constants can be replaced in its bytes.

ExecuTorch folds no batch norm when it opens a program. So it is folded here, into constants, and a
device is told how to make them of the student's tensors.
"""

from __future__ import annotations

import itertools
import operator
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

import ams
from ams import bundle as bundles
from ams.export.networks import _short
from ams.export.onnx_graph import LabelNetwork, set_values

# As XNNPACK keeps weights: of convolutions, depthwise ones, and of linear layers.
_ORDERS = {2: ((0, 1), (1, 0)), 4: ((0, 1, 2, 3), (0, 2, 3, 1), (1, 2, 3, 0))}
_TOO_COMMON_BYTES = 16  # a shorter constant may be in a program by chance


def require_executorch() -> None:
    """Raises ams.UnavailableError where the package executorch is missing."""
    try:
        import executorch.exir  # noqa: F401
    except ImportError as error:
        raise ams.UnavailableError(
            "a program for ExecuTorch needs the package executorch: scripts/setup.sh "
            f"--executorch, or pip install executorch ({error})"
        ) from error


@dataclass(frozen=True)
class BatchNorm:
    """In eval mode: y = x * s + shift - mean * s with s = scale / sqrt(variance + epsilon). Names
    of tensors; None: ones, or zeros."""

    scale: str | None
    shift: str | None
    mean: str
    variance: str
    epsilon: float


@dataclass(frozen=True)
class Constant:
    """What a constant of the program is made of.

    - "copy": the tensor `source`
    - "scale": s of `norm`
    - "weight": `source` times s, along its first dimension
    - "shift": shift + (`source` - mean) * s; without source, 0 in its place
    """

    kind: str
    source: str | None
    norm: BatchNorm | None

    def tensors(self) -> dict[str, str]:
        """The names of its tensors by what they are to it."""
        norm = self.norm
        found = {"source": self.source}
        if norm is not None:
            found |= {"scale": norm.scale, "variance": norm.variance}
            if self.kind == "shift":
                found |= {"mean": norm.mean, "shift": norm.shift}
        return {use: name for use, name in found.items() if name is not None}

    def value(self, tensors: Mapping[str, np.ndarray]) -> np.ndarray:
        """float32, from tensors of float32 by name."""
        source = None if self.source is None else tensors[self.source]
        norm = self.norm
        if norm is None:
            assert source is not None
            return source
        scale = np.float32(1) if norm.scale is None else tensors[norm.scale]
        scale = scale / np.sqrt(tensors[norm.variance] + np.float32(norm.epsilon))
        if self.kind == "scale":
            return scale
        if self.kind == "weight":
            assert source is not None
            return source * scale.reshape(-1, *[1] * (source.ndim - 1))
        moved = ((0 if source is None else source) - tensors[norm.mean]) * scale
        return moved if norm.shift is None else tensors[norm.shift] + moved


@dataclass(frozen=True)
class Place:
    """Where a constant stands: the offset of its first byte, and in which order its dimensions."""

    constant: Constant
    offset: int
    order: tuple[int, ...]

    def description(self) -> dict[str, Any]:
        """For bundle.json."""
        constant = self.constant
        result: dict[str, Any] = {"kind": constant.kind, "offset": self.offset}
        result |= constant.tensors()
        if constant.norm is not None:
            result["epsilon"] = constant.norm.epsilon
        if self.order != tuple(range(len(self.order))):
            result["order"] = list(self.order)
        return result


@dataclass(frozen=True)
class Program:
    """An ExecuTorch program from uint8 [1, H, W, 3] to uint8 [1, H, W], with any values, and what
    is to be written into it."""

    contents: bytes
    frozen: dict[str, np.ndarray]  # float32, tensors that no update changes
    places: list[Place]

    def with_values(self, tensors: Mapping[str, np.ndarray]) -> bytes:
        """`tensors`: the trained ones by name, float32."""
        tensors = {**tensors, **self.frozen}
        result = bytearray(self.contents)
        for place in self.places:
            value = place.constant.value(tensors)
            stored = value.transpose(place.order).astype("<f4").tobytes()
            result[place.offset : place.offset + len(stored)] = stored
        return bytes(result)

    def description(self) -> dict[str, Any]:
        """For bundle.json."""
        return {
            "file": bundles.PROGRAM,
            "frozen": [
                {"name": name, "shape": list(value.shape)} for name, value in self.frozen.items()
            ],
            "constants": [place.description() for place in self.places],
        }

    def frozen_bytes(self) -> bytes:
        """For frozen.bin."""
        return b"".join(value.astype("<f4").tobytes() for value in self.frozen.values())


class ProgramRunner:
    """A program in ExecuTorch, to see what it computes."""

    def __init__(self, program: Program, manifest: ams.Manifest) -> None:
        self._program = program
        self._manifest = manifest

    def load(self, values: np.ndarray) -> None:
        """`values`: float32 [dimension]."""
        from executorch.runtime import Runtime

        self._contents = self._program.with_values(tensors_by_name(values, self._manifest))
        self._loaded = Runtime.get().load_program(self._contents)
        self._forward = self._loaded.load_method("forward")

    def predict(self, frame: np.ndarray) -> np.ndarray:
        """`frame`: uint8 [H, W, 3] in the size of the program's input. uint8 [H, W]."""
        return self._forward.execute([torch.from_numpy(frame)[None]])[0][0].numpy()


def tensors_by_name(values: np.ndarray, manifest: ams.Manifest) -> dict[str, np.ndarray]:
    """The tensors of a parameter vector, each in its shape."""
    return {
        tensor.name: values[tensor.offset : tensor.offset + tensor.size].reshape(tensor.shape)
        for tensor in manifest.tensors
    }


def make_program(network: LabelNetwork, tensors: Sequence[tuple[str, torch.Tensor]]) -> Program:
    """The network as an ExecuTorch program for XNNPACK, and where its constants stand.

    `tensors`: those that updates change. For a moment they have values that nothing else has, which
    tell the constants apart in the program. Raises ams.InvalidArgumentError for a network that
    ExecuTorch cannot express, and for one of whose tensors updates would not reach the program.
    """
    graph = _FoldedGraph(network, tensors)
    before = [tensor.detach().clone() for _, tensor in tensors]
    generator = np.random.default_rng(7)
    marks = [generator.uniform(0.5, 1.5, tensor.shape).astype(np.float32) for _, tensor in tensors]
    trained = {name for name, _ in tensors}
    places = []
    set_values(tensors, marks)
    try:
        marked = graph.make_constants()
        contents = _lowered(graph)
    finally:
        set_values(tensors, before)
    for constant, value in marked.items():
        if trained.intersection(constant.tensors().values()):
            places += _places(contents, constant, value)
    used = {name for place in places for name in place.constant.tensors().values()}
    for name, _ in tensors:
        if name not in used:
            raise ams.InvalidArgumentError(
                f"the ExecuTorch program does not depend on '{name}', so no update could reach it: "
                "freeze it with requires_grad_(False), or let forward() use it as it is"
            )
    frozen = {name: value for name, value in graph.values().items() if name in used - trained}
    return Program(contents, frozen, places)


def _places(contents: bytes, constant: Constant, value: np.ndarray) -> list[Place]:
    """Wherever the constant stands."""
    for order in _ORDERS.get(value.ndim, (tuple(range(value.ndim)),)):
        sought = value.transpose(order).astype("<f4").tobytes()
        offsets = [*_occurrences(contents, sought)]
        if len(offsets) == 1 or (offsets and len(sought) >= _TOO_COMMON_BYTES):
            return [Place(constant, offset, order) for offset in offsets]
    names = " and ".join(f"'{name}'" for name in constant.tensors().values())
    raise ams.InvalidArgumentError(
        f"the ExecuTorch program has no constant that is made of {names}, so no update could reach "
        "it: ExecuTorch computes something else from it before the first picture comes. Freeze it "
        "with requires_grad_(False), or leave ExecuTorch out"
    )


def _occurrences(contents: bytes, sought: bytes) -> Iterator[int]:
    place = contents.find(sought)
    while place >= 0:
        yield place
        place = contents.find(sought, place + len(sought))


# ---- The graph


@dataclass(frozen=True)
class _Held:
    """A tensor of the network, as its graph uses it."""

    name: str
    shape: torch.Size


@dataclass
class _Convolution:
    """One whose batch norm may follow; computed when something else needs it."""

    inputs: list[Any]  # of aten::convolution
    result: torch.Tensor | None = None


class _FoldedGraph(torch.nn.Module):
    """A recorded run of a network, with batch norm folded into the convolutions before it as
    XNNPACK would do by itself; so it is known where every value goes."""

    def __init__(self, network: LabelNetwork, tensors: Sequence[tuple[str, torch.Tensor]]) -> None:
        super().__init__()
        self.frame = torch.zeros(1, *network._size, 3, dtype=torch.uint8)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            traced = torch.jit.trace(network, (self.frame,), check_trace=False)
        self._traced = [traced]  # in a list: no part of this module
        self._graph = traced.inlined_graph
        self._names = {(tensor.data_ptr(), tensor.shape): name for name, tensor in tensors}
        self._tensors = dict(tensors)
        self._buffers_of: dict[Constant, str] = {}
        try:
            with torch.no_grad():
                self.forward(self.frame)  # finds all constants
        except ams.Error:
            raise
        except (RuntimeError, TypeError, ValueError) as error:
            raise ams.InvalidArgumentError(
                f"ExecuTorch cannot express the network's graph: {_short(error)}"
            ) from error

    def values(self) -> dict[str, np.ndarray]:
        """Of the network's tensors, float32."""
        return {name: tensor.detach().numpy() for name, tensor in self._tensors.items()}

    def make_constants(self) -> dict[Constant, np.ndarray]:
        """Computes the constants from what the tensors are now."""
        values = self.values()
        made = {constant: np.array(constant.value(values)) for constant in self._buffers_of}
        for constant, name in self._buffers_of.items():
            buffer = getattr(self, name)
            buffer.copy_(torch.from_numpy(made[constant]).view(buffer.shape))
        return made

    def forward(self, frame: torch.Tensor) -> torch.Tensor:
        inputs = [value.debugName() for value in self._graph.inputs()]
        known: dict[str, Any] = dict(zip(inputs, (self._traced[0], frame), strict=True))
        return self._tensor(self._run_all(self._graph, known)[0])

    def _run_all(self, block: Any, known: dict[str, Any]) -> list[Any]:
        for node in block.nodes():
            self._run(node, known)
        return [known[value.debugName()] for value in block.outputs()]

    def _run(self, node: Any, known: dict[str, Any]) -> None:
        kind = node.kind()
        inputs = [known[value.debugName()] for value in node.inputs()]
        results: Sequence[Any]
        if kind == "prim::Constant":
            results = [self._hold(node.output().toIValue())]
        elif kind == "prim::GetAttr":
            results = [self._hold(getattr(inputs[0], node.s("name")))]
        elif kind in ("prim::ListConstruct", "prim::TupleConstruct"):
            results = [[self._tensor(value) for value in inputs]]
        elif kind in ("prim::ListUnpack", "prim::TupleUnpack"):
            results = inputs[0]
        elif kind == "prim::If" and not isinstance(inputs[0], torch.Tensor):
            results = self._run_all([*node.blocks()][0 if inputs[0] else 1], known)
        elif kind == "prim::Loop" and not isinstance(inputs[1], torch.Tensor):
            results = self._loop(*node.blocks(), *inputs, known=known)
        elif kind == "prim::Uninitialized":
            results = [None]
        elif kind in _SAME:
            results = [inputs[0]]
        elif kind == "aten::size":
            shape = getattr(inputs[0], "shape", None) or self._tensor(inputs[0]).shape
            results = [[*shape] if len(inputs) == 1 else shape[inputs[1]]]
        elif kind == "aten::_convolution":
            results = [_Convolution(inputs[:9])]
        elif kind == "aten::conv2d" and not isinstance(inputs[4], str):
            results = [_Convolution([*inputs[:6], False, [0, 0], inputs[6]])]
        elif kind == "aten::batch_norm":
            results = [self._batch_norm(inputs)]
        else:
            results = [_operation(node, [self._tensor(value) for value in inputs])]
        known.update(zip((value.debugName() for value in node.outputs()), results, strict=False))

    def _loop(
        self, block: Any, count: int, goes_on: bool, *carried: Any, known: dict[str, Any]
    ) -> Sequence[Any]:
        names = [value.debugName() for value in block.inputs()]
        for index in range(count):
            if not goes_on:
                break
            known.update(zip(names, (index, *carried), strict=True))
            goes_on, *carried = self._run_all(block, known)
        return carried

    def _hold(self, value: Any) -> Any:
        if not isinstance(value, torch.Tensor) or value.dtype != torch.float32:
            return value
        place = value.data_ptr(), value.shape
        if place not in self._names:
            names = (f"frozen{number}" for number in itertools.count(len(self._names)))
            name = next(name for name in names if name not in self._tensors)
            self._names[place], self._tensors[name] = name, value
        return _Held(self._names[place], value.shape)

    def _tensor(self, value: Any) -> Any:
        """A value as operations take it: tensors of the network are constants of the program."""
        if isinstance(value, _Held):
            return self._constant(Constant("copy", value.name, None), value.shape)
        if isinstance(value, _Convolution):
            if value.result is None:
                x, weight, bias = (self._tensor(part) for part in value.inputs[:3])
                value.result = self._convolution(x, weight, bias, value.inputs[3:])
            return value.result
        return value

    def _convolution(
        self, x: Any, weight: torch.Tensor, bias: torch.Tensor | None, others: list[Any]
    ) -> torch.Tensor:
        return torch.ops.aten.convolution(self._tensor(x), weight, bias, *others)

    def _batch_norm(self, inputs: list[Any]) -> torch.Tensor:
        x, scale, shift, mean, variance, training, _, epsilon, _ = inputs
        if training or not isinstance(mean, _Held) or not isinstance(variance, _Held):
            raise ams.InvalidArgumentError(
                "the network has a batch norm without moving statistics of float32, which cannot "
                "be folded for ExecuTorch"
            )
        names = [None if tensor is None else tensor.name for tensor in (scale, shift)]
        norm = BatchNorm(*names, mean.name, variance.name, epsilon)
        if isinstance(x, _Convolution) and isinstance(x.inputs[1], _Held) and not x.inputs[6]:
            before, weight, bias, *others = x.inputs
            folded = Constant("weight", weight.name, norm)
            moved = Constant("shift", None if bias is None else bias.name, norm)
            return self._convolution(
                before,
                self._constant(folded, weight.shape),
                self._constant(moved, (-1,)),
                others,
            )
        x = self._tensor(x)
        shape = (1, -1) + (1,) * (x.dim() - 2)
        factor = self._constant(Constant("scale", None, norm), shape)
        return x * factor + self._constant(Constant("shift", None, norm), shape)

    def _constant(self, constant: Constant, shape: Sequence[int]) -> torch.Tensor:
        """What is a buffer here is a constant of the program."""
        if constant not in self._buffers_of:
            name = f"constant{len(self._buffers_of)}"
            value = torch.from_numpy(np.array(constant.value(self.values())))
            self.register_buffer(name, value.reshape(tuple(shape)))
            self._buffers_of[constant] = name
        return getattr(self, self._buffers_of[constant])


_SAME = ("prim::NumToTensor", "prim::unchecked_cast", "aten::Int", "aten::detach", "aten::dropout")

# What graphs compute of numbers, sizes and options.
_PLAIN: dict[str, Callable[..., Any]] = {
    "aten::add": operator.add,
    "aten::sub": operator.sub,
    "aten::mul": operator.mul,
    "aten::floor_divide": operator.floordiv,
    "aten::floordiv": operator.floordiv,
    "aten::eq": operator.eq,
    "aten::ne": operator.ne,
    "aten::lt": operator.lt,
    "aten::gt": operator.gt,
    "aten::le": operator.le,
    "aten::ge": operator.ge,
    "aten::__getitem__": operator.getitem,
    "aten::__is__": operator.is_,
    "aten::__isnot__": operator.is_not,
    "aten::__not__": operator.not_,
    "aten::len": len,
    "aten::list": list,
    "aten::slice": lambda values, begin, end, step: values[begin:end:step],
}
# Of inputs; the others take two.
_COUNTS = {"aten::__not__": 1, "aten::len": 1, "aten::list": 1, "aten::slice": 4}


def _operation(node: Any, inputs: list[Any]) -> Any:
    """What the node computes, with the operation that its schema names."""
    kind = node.kind()
    if kind in _PLAIN and not any(isinstance(value, torch.Tensor) for value in inputs[:2]):
        return _PLAIN[kind](*inputs[: _COUNTS.get(kind, 2)])
    packet = None
    if kind.startswith("aten::") and node.schema() != "(no schema)":
        packet = getattr(torch.ops.aten, kind.removeprefix("aten::"), None)
    if packet is None:
        raise ams.InvalidArgumentError(
            f"ExecuTorch cannot express the network: its graph has '{kind}'. Give the module "
            "itself, not a script of it, or leave ExecuTorch out"
        )
    schema = torch._C.parse_schema(node.schema())
    named = {
        argument.name: value
        for argument, value in zip(schema.arguments, inputs, strict=True)
        if argument.kwarg_only
    }
    overload = getattr(packet, schema.overload_name or "default")
    return overload(*inputs[: len(inputs) - len(named)], **named)


def _lowered(graph: _FoldedGraph) -> bytes:
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            exported = torch.export.export(graph, (graph.frame,), strict=False)
            lowered = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()])
            return bytes(lowered.to_executorch().buffer)
    except Exception as error:
        raise ams.InvalidArgumentError(
            f"ExecuTorch cannot express the network: {_short(error)}"
        ) from error
