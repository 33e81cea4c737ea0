"""Writing student bundles."""

from __future__ import annotations

import json
import logging
import os
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import ams
from ams import bundle as bundles
from ams.export.executorch_program import (
    Program,
    ProgramRunner,
    make_program,
    require_executorch,
    tensors_by_name,
)
from ams.export.networks import (
    _check_path,
    _check_size,
    _copy_for_export,
    _whole_file,
    student,
)
from ams.export.onnx_graph import LabelNetwork, find_tensors, require_onnx, set_values
from ams.torch import (
    Network,
    NetworkPredictor,
    StudentSpec,
    StudentValues,
    load_student_values,
    open_network,
    student_network_names,
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ExportedBundle:
    """A student bundle, and what the programs must be told about it."""

    path: Path
    manifest: ams.Manifest
    fingerprint: int
    checked_with: tuple[str, ...]  # runtimes that compute what the module does

    @property
    def flags(self) -> list[str]:
        """The flags of ams-server, ams-edge and ams.edge."""
        return ["--student", str(self.path)]


def bundle(
    student: torch.nn.Module | StudentSpec | str,
    path: str | os.PathLike[str],
    *,
    input_size: tuple[int, int] | None = None,
    num_classes: int | None = None,
    class_names: Sequence[str] | None = None,
    selected_classes: Sequence[int] = (),
    train_batch_norm_statistics: bool = False,
    executorch: bool = False,
) -> ExportedBundle:
    """Writes a student bundle: the one file that ams-server and a device need of a student.

    `student`: a module, as student() takes it; the name of a network of the library, "edanet" or
    "deeplabv3_mobilenetv2", with values drawn at random; or a StudentSpec, for weights, another
    normalisation or a file of student(). A StudentSpec says all but the names of the classes.
    `path` ends in .bundle. `input_size`: (H, W) in pixels, 32 to 4096 each; None: (128, 256).
    `num_classes`: 2 to 254; None: as many as the module gives, 19 of a network of the library.
    `class_names`: for people, one for each class. `selected_classes`: two or more ascending ids,
    which alone are trained and predicted; empty: all. `train_batch_norm_statistics`: as in
    StudentSpec. `executorch`: write the network for ExecuTorch too, where all values stand in one
    program with batch norm folded; needs the package executorch.

    Every runtime that is installed computes the labels of a few pictures, before and after a change
    of all values, and must agree with the module. Needs the package onnx.

    Raises ams.InvalidArgumentError with the reason when the student cannot be trained, cannot be
    written as ONNX or for ExecuTorch, has a trained tensor that updates would not reach there, or
    would not compute the same; ams.UnavailableError without onnx or executorch, and ams.IoError
    when the file cannot be written.
    """
    path = _check_path(path, (".bundle",))
    require_onnx()
    if executorch:
        require_executorch()
    with tempfile.TemporaryDirectory(prefix="ams-bundle-") as folder:
        spec = _spec_of(
            student,
            Path(folder, bundles.SCRIPT),
            input_size=input_size,
            num_classes=num_classes,
            selected_classes=list(selected_classes),
            train_batch_norm_statistics=train_batch_norm_statistics,
        )
        names = _check_class_names(class_names, spec.num_classes)
        values = load_student_values(spec)  # refuses what cannot be a student, with the reason
        network = _network_of(student, spec)
        labels = LabelNetwork(network, spec).eval()
        tensors = _trained(network, values.manifest)
        graph, offsets = find_tensors(labels, tensors)
        program = make_program(labels, tensors) if executorch else None
        entries = _entries(spec, values, names, network, graph, offsets, program)
        with _whole_file(path) as written:
            _write(written, entries)
            checked_with = _check(written, labels, tensors, spec, program)
    _log.info(
        "wrote %s: %d parameters to train, checked with %s",
        path,
        values.manifest.dimension,
        " and ".join(checked_with),
    )
    return ExportedBundle(path, values.manifest, values.fingerprint, checked_with)


# ---- The student


def _spec_of(
    given: torch.nn.Module | StudentSpec | str,
    script: Path,
    *,
    input_size: tuple[int, int] | None,
    num_classes: int | None,
    selected_classes: list[int],
    train_batch_norm_statistics: bool,
) -> StudentSpec:
    """What a server opens. `script` is written for a module."""
    if isinstance(given, StudentSpec):
        if input_size or num_classes or selected_classes or train_batch_norm_statistics:
            raise ams.InvalidArgumentError(
                "a StudentSpec says all about the student: give input_size, num_classes, "
                "selected_classes and train_batch_norm_statistics there"
            )
        return given
    height, width = _check_size((128, 256) if input_size is None else input_size)
    if isinstance(given, str):
        if given not in student_network_names():
            raise ams.InvalidArgumentError(
                f"there is no student '{given}'; allowed are a module, a StudentSpec and "
                f"{', '.join(student_network_names())}"
            )
        network, classes = given, 19 if num_classes is None else num_classes
    else:
        written = student(given, script, input_size=(height, width), num_classes=num_classes)
        network, classes = written.spec.network, written.spec.num_classes
    return StudentSpec(
        network=network,
        num_classes=classes,
        input_width=width,
        input_height=height,
        selected_classes=selected_classes,
        train_batch_norm_statistics=train_batch_norm_statistics,
    )


def _network_of(
    given: torch.nn.Module | StudentSpec | str, spec: StudentSpec
) -> torch.nn.Module | Network:
    """What the graph is made of."""
    if not isinstance(given, (StudentSpec, str)):
        return _copy_for_export(given)
    if spec.network.endswith(".pt"):
        return torch.jit.load(spec.network, map_location="cpu").eval()
    network = open_network(
        spec.network, num_classes=spec.num_classes, weights=spec.weights, seed=spec.seed
    ).eval()
    for _, parameter in network.named_parameters():
        # Where these alone ask for gradients, the library's networks run batch norm by itself.
        parameter.requires_grad_(parameter.dim() < 2)
    return network


def _check_class_names(names: Sequence[str] | None, num_classes: int) -> list[str] | None:
    if names is None:
        return None
    if isinstance(names, str) or len(names) != num_classes:
        raise ams.InvalidArgumentError(
            f"class_names has {len(names)} names; needed is one for each of {num_classes} classes"
        )
    for name in names:
        if not isinstance(name, str) or not 1 <= len(name.encode()) <= bundles.MAX_CLASS_NAME_BYTES:
            raise ams.InvalidArgumentError(
                f"class_names has {name!r}; allowed are texts of 1 to "
                f"{bundles.MAX_CLASS_NAME_BYTES} bytes"
            )
    return list(names)


def _trained(
    network: torch.nn.Module | Network, manifest: ams.Manifest
) -> list[tuple[str, torch.Tensor]]:
    """In the order of the manifest."""
    if isinstance(network, Network):
        named = dict(network.named_parameters() + network.named_buffers())
    else:
        named = dict(network.named_parameters(remove_duplicate=False))
        named.update(network.named_buffers(remove_duplicate=False))
    return [(tensor.name, named[tensor.name]) for tensor in manifest.tensors]


# ---- The file


def _entries(
    spec: StudentSpec,
    values: StudentValues,
    class_names: list[str] | None,
    network: torch.nn.Module | Network,
    graph: bytes,
    offsets: Sequence[int],
    program: Program | None,
) -> dict[str, bytes]:
    """The contents by name, bundle.json first."""
    tensors = values.manifest.tensors
    initial = np.asarray(values.values, dtype="<f4")
    is_script = spec.network.endswith(".pt")
    model = bytearray(graph)
    for tensor, offset in zip(tensors, offsets, strict=True):
        part = initial[tensor.offset : tensor.offset + tensor.size]
        model[offset : offset + 4 * tensor.size] = part.tobytes()
    description = {
        "format": bundles.FORMAT,
        "version": bundles.VERSION,
        "fingerprint": f"{values.fingerprint:016x}",
        "input": {"width": spec.input_width, "height": spec.input_height},
        "normalization": {
            "mean": list(spec.mean),
            "standard_deviation": list(spec.standard_deviation),
        },
        "num_classes": spec.num_classes,
        "class_names": class_names,
        "selected_classes": list(spec.selected_classes),
        "train_batch_norm_statistics": spec.train_batch_norm_statistics,
        "network": bundles.SCRIPT if is_script else spec.network,
        "weights": None if is_script else bundles.WEIGHTS,
        "tensors": [
            {"name": t.name, "shape": list(t.shape), "kind": t.kind, "role": t.role}
            for t in tensors
        ],
        "onnx": {
            "file": bundles.GRAPH,
            "tensors": [
                {"name": tensor.name, "offset": offset}
                for tensor, offset in zip(tensors, offsets, strict=True)
            ],
        },
    }
    if program is not None:
        description["executorch"] = program.description()
    entries = {bundles.DESCRIPTION: json.dumps(description, indent=1).encode()}
    if isinstance(network, Network):
        entries[bundles.WEIGHTS] = _safetensors(network)
    else:
        entries[bundles.SCRIPT] = Path(spec.network).read_bytes()
    entries |= {bundles.GRAPH: bytes(model), bundles.VALUES: initial.tobytes()}
    if program is not None:
        by_name = tensors_by_name(np.asarray(values.values), values.manifest)
        entries[bundles.PROGRAM] = program.with_values(by_name)
        if program.frozen:
            entries[bundles.FROZEN] = program.frozen_bytes()
    return entries


def _safetensors(network: Network) -> bytes:
    """All that the network holds, as float32."""
    header: dict[str, object] = {}
    contents = bytearray()
    for name, tensor in network.named_parameters() + network.named_buffers():
        if name.endswith("num_batches_tracked"):
            continue
        data = tensor.detach().cpu().contiguous().numpy().astype("<f4").tobytes()
        places = [len(contents), len(contents) + len(data)]
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": places}
        contents += data
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + bytes(contents)


def _write(path: Path, entries: dict[str, bytes]) -> None:
    """The same bytes for the same contents. Readers refuse what grows too much, so that is stored
    as it is."""
    try:
        with zipfile.ZipFile(path, "w") as archive:
            for name, contents in entries.items():
                entry = zipfile.ZipInfo(name)
                entry.external_attr = 0o644 << 16
                if len(contents) < 32 * len(zlib.compress(contents, 1)):
                    entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, contents)
    except OSError as error:
        raise ams.IoError(f"cannot write '{path}': {error}") from error


# ---- Checking what was written


def _check(
    path: Path,
    network: LabelNetwork,
    tensors: list[tuple[str, torch.Tensor]],
    spec: StudentSpec,
    program: Program | None,
) -> tuple[str, ...]:
    """Every runtime at hand gives the labels of the network, before and after an update. Gives
    their names."""
    written = bundles.read(path)
    runtimes: dict[str, Any] = {"libtorch": NetworkPredictor(spec)}
    try:
        from ams.onnx_predictor import OnnxPredictor

        runtimes["onnxruntime"] = OnnxPredictor(written)
    except (ImportError, ams.UnavailableError):
        _log.warning(
            "not checked with onnxruntime, which is not installed: pip install onnxruntime"
        )
    if program is not None:
        runtimes["executorch"] = ProgramRunner(program, written.manifest)
    for when, values in {
        "": written.values,
        " after an update": _updated(written.values, written.manifest),
    }.items():
        parts = np.split(values, [t.offset for t in written.manifest.tensors[1:]])
        set_values(tensors, parts)
        for name, runtime in runtimes.items():
            runtime.load(values)
            for frame in _pictures(spec):
                _check_labels(network, frame, runtime.predict(frame), f"{name}{when}", spec)
    return tuple(runtimes)


def _updated(values: np.ndarray, manifest: ams.Manifest) -> np.ndarray:
    """All of them changed, as far as labels must change."""
    random = np.random.default_rng(3)
    changed = values.copy()
    for tensor in manifest.tensors:
        part = changed[tensor.offset : tensor.offset + tensor.size]
        part *= random.uniform(0.9, 1.1, part.shape).astype(np.float32)
        if tensor.kind == "parameter":
            scale = max(float(np.abs(part).mean()), 0.1)
            part += random.normal(0, 0.02 * scale, part.shape).astype(np.float32)
    return changed


def _pictures(spec: StudentSpec) -> list[np.ndarray]:
    """Of coarse and of fine grain."""
    random = np.random.default_rng(4)
    height, width = spec.input_height, spec.input_width
    pictures = []
    for grain in (1, 16):
        small = random.integers(0, 256, (-(-height // grain), -(-width // grain), 3), np.uint8)
        large = small.repeat(grain, axis=0).repeat(grain, axis=1)
        pictures.append(np.ascontiguousarray(large[:height, :width]))
    return pictures


def _check_labels(
    network: LabelNetwork, frame: np.ndarray, labels: np.ndarray, runtime: str, spec: StudentSpec
) -> None:
    """Runtimes add up in other orders, so labels may differ where two classes are about even."""
    with torch.no_grad():
        logits = network.logits(torch.from_numpy(frame)[None])[0]
    ids = spec.selected_classes or range(spec.num_classes)
    channels = np.full(256, -1)
    channels[list(ids)] = range(len(ids))
    chosen = torch.from_numpy(channels[labels])
    known = bool((chosen >= 0).all())
    if known:
        best = logits.max(0).values
        short = best - logits.gather(0, chosen[None])[0]
        if float(short.max()) <= 1e-3 * max(float(logits.abs().max()), 1e-3):
            return
    share = float((logits.argmax(0) != chosen).float().mean())
    raise ams.InvalidArgumentError(
        f"{runtime} computes other labels than the module for {100 * share:.1f}% of the pixels of "
        "a test picture; nothing was written. "
        + (
            "A value that forward() derives from a trained tensor has become a constant: let "
            "forward() compute it from self, without detach(), item() or numpy()"
            if runtime.endswith("update")
            else "What is written for it does not express the module: simplify forward()"
        )
    )
