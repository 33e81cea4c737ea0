"""A student's network as an ONNX model whose trained tensors can be replaced in its bytes."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
import torch

import ams
from ams.export.networks import _first_tensor, _short
from ams.torch import Network, StudentSpec

_OPSET = 17
_SPATIAL_LISTS = ("kernel_shape", "strides", "dilations", "pads")


def require_onnx() -> ModuleType:
    """The package onnx. Raises ams.UnavailableError where it is missing."""
    try:
        import onnx
    except ImportError as error:
        raise ams.UnavailableError(
            "student bundles hold an ONNX model, which needs the package onnx: pip install "
            "'libams[export]', or pip install onnx"
        ) from error
    return onnx


class LabelNetwork(torch.nn.Module):
    """From a picture to its class ids, all within one graph: frame, uint8 [1, H, W, 3] in the size
    of the student's input, to labels, uint8 [1, H, W].

    `network`: a module, or one of the library's networks. It is used, not copied; `named_tensors`
    are those that training changes, in the order of the manifest.
    """

    def __init__(self, network: torch.nn.Module | Network, spec: StudentSpec) -> None:
        super().__init__()
        self._network = network
        self._size = (spec.input_height, spec.input_width)
        self._selected = list(spec.selected_classes)
        self._align_corners = isinstance(network, Network) and network.align_corners
        if isinstance(network, Network):
            # A network of C++ is no module: what it is made of must be known by name.
            tensors = network.named_parameters() + network.named_buffers()
            for index, (_, tensor) in enumerate(tensors):
                self.register_buffer(f"tensor{index}", tensor)
        for name, triple in (("mean", spec.mean), ("deviation", spec.standard_deviation)):
            self.register_buffer(name, torch.tensor(triple).view(1, 3, 1, 1))

    def logits(self, frame: torch.Tensor) -> torch.Tensor:
        """float32 [1, selected classes, H, W]."""
        pictures = frame.permute(0, 3, 1, 2).to(torch.float32) / 255
        logits = _first_tensor(self._network((pictures - self.mean) / self.deviation))
        assert logits is not None
        if logits.shape[1] == 1:  # of class 1 of two
            logits = torch.cat((torch.zeros_like(logits), logits), 1)
        if 0 < len(self._selected) < logits.shape[1]:
            logits = logits[:, self._selected]
        if tuple(logits.shape[-2:]) != self._size:
            logits = torch.nn.functional.interpolate(
                logits, size=self._size, mode="bilinear", align_corners=self._align_corners
            )
        return logits

    def forward(self, frame: torch.Tensor) -> torch.Tensor:
        labels = self.logits(frame).argmax(1)
        if self._selected:
            labels = torch.tensor(self._selected)[labels]
        return labels.to(torch.uint8)


def find_tensors(
    network: LabelNetwork, tensors: Sequence[tuple[str, torch.Tensor]]
) -> tuple[bytes, list[int]]:
    """The network as an ONNX model, and where in its bytes each of the tensors stands.

    For a moment every tensor has values that nothing else has, which tell it apart in the model;
    the model is returned with these. Raises ams.InvalidArgumentError for a network that ONNX cannot
    express, and one of whose tensors is not in the model as it is.
    """
    onnx = require_onnx()
    marks = _marks([tensor.numel() for _, tensor in tensors])
    before = [tensor.detach().clone() for _, tensor in tensors]
    set_values(tensors, marks)
    try:
        model = onnx.load_from_string(_export(network))
    finally:
        set_values(tensors, before)
    _clean(model)
    stored: dict[bytes, list[str]] = {}
    for initializer in model.graph.initializer:
        values = onnx.numpy_helper.to_array(initializer)
        stored.setdefault(values.tobytes(), []).append(initializer.name)
        # Values as raw bytes, wherever the exporter has put them.
        initializer.CopyFrom(onnx.numpy_helper.from_array(values, initializer.name))
    for (name, _), mark in zip(tensors, marks, strict=True):
        _join(model, stored.get(mark.numpy().tobytes(), []), name)
    contents = model.SerializeToString()
    places = []
    for (name, _), mark in zip(tensors, marks, strict=True):
        sought = mark.numpy().tobytes()
        beginning = sought[:16]  # 4 values tell it apart, and are found faster
        place = contents.find(beginning)
        again = contents.find(beginning, place + 1)
        if place < 0 or again >= 0 or contents[place : place + len(sought)] != sought:
            raise _not_found(name)
        places.append(place)
    return contents, places


def set_values(
    tensors: Sequence[tuple[str, torch.Tensor]], values: Sequence[torch.Tensor | np.ndarray]
) -> None:
    """In place, whatever their shape."""
    with torch.no_grad():
        for (_, tensor), new in zip(tensors, values, strict=True):
            tensor.copy_(torch.asarray(new, copy=True).view(tensor.shape))


def _marks(sizes: Sequence[int]) -> list[torch.Tensor]:
    """Positive and small, as they also take the place of variances. The first value counts up, so
    that no tensor is another one's beginning."""
    generator = torch.Generator().manual_seed(7)
    marks = [torch.rand(size, generator=generator) * 0.02 + 0.01 for size in sizes]
    for index, mark in enumerate(marks):
        mark[0] = 0.04 + 1e-6 * index
    return marks


def _export(network: LabelNetwork) -> bytes:
    """With torch's exporter that records a run: it keeps batch norm as it is when it is told to
    preserve the mode and to fold nothing, and takes the networks of C++ as well."""
    written = io.BytesIO()
    frame = torch.zeros(1, *network._size, 3, dtype=torch.uint8)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if isinstance(network._network, torch.jit.ScriptModule):
                network = torch.jit.trace(network, (frame,), check_trace=False)
            torch.onnx.export(
                network,
                (frame,),
                written,
                dynamo=False,
                input_names=["frame"],
                output_names=["labels"],
                opset_version=_OPSET,
                do_constant_folding=False,
                training=torch.onnx.TrainingMode.PRESERVE,
            )
    except Exception as error:
        raise ams.InvalidArgumentError(
            f"ONNX cannot express the network: {_short(error)}"
        ) from error
    return written.getvalue()


def _clean(model: Any) -> None:
    """Takes out what names this machine, and spells out lists that torch has shortened."""
    ranks = {initializer.name: len(initializer.dims) for initializer in model.graph.initializer}
    model.ClearField("metadata_props")
    for node in model.graph.node:
        node.ClearField("doc_string")
        node.ClearField("metadata_props")
        lists = {a.name: a.ints for a in node.attribute if a.name in _SPATIAL_LISTS and a.ints}
        sides = [len(ints) // (2 if name == "pads" else 1) for name, ints in lists.items()]
        weight = node.input[1] if len(node.input) > 1 else ""
        rank = max([*sides, ranks.get(weight, 0) - 2])
        for name, ints in lists.items():
            wanted = 2 * rank if name == "pads" else rank
            if len(ints) == 1 and wanted > 1:
                ints.extend([ints[0]] * (wanted - 1))
            elif name == "pads" and len(ints) == 2 and wanted > 2 and ints[0] == ints[1]:
                ints.extend([ints[0]] * (wanted - 2))


def _join(model: Any, initializers: list[str], tensor: str) -> None:
    """Leaves one of the initializers that are the same tensor. Raises where there is none."""
    if not initializers:
        raise _not_found(tensor)
    kept, *others = initializers
    for node in model.graph.node:
        for index, name in enumerate(node.input):
            if name in others:
                node.input[index] = kept
    for initializer in [i for i in model.graph.initializer if i.name in others]:
        model.graph.initializer.remove(initializer)


def _not_found(tensor: str) -> ams.InvalidArgumentError:
    return ams.InvalidArgumentError(
        f"the ONNX model has no tensor with the values of '{tensor}', so no update could reach it: "
        "the network does not use it, or computes something else from it before the first picture "
        "comes. Freeze it with requires_grad_(False), or let forward() use it as it is"
    )
