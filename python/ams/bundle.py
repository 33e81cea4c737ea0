"""Student bundles: one file that says all about a student, for servers and for devices.

    bundle = ams.bundle.read("student.bundle")
    session = onnxruntime.InferenceSession(bundle.onnx_model(bundle.values))

`ams.export.bundle` writes them. A bundle is a ZIP archive: bundle.json describes the student,
values.bin has its parameter vector, network.onnx is the network as a device runs it, and network.pt
or weights.safetensors is the network as a server trains it. network.pte and frozen.bin are there
for devices on ExecuTorch, which are programs of C++. Nothing here needs more than numpy.
"""

from __future__ import annotations

import json
import math
import os
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ._core import Manifest
from .errors import (
    Error,
    InvalidArgumentError,
    IoError,
    LimitExceededError,
    MalformedDataError,
    UnsupportedVersionError,
)

__all__ = ["StudentBundle", "read"]

FORMAT = "ams-student-bundle"
VERSION = 1
DESCRIPTION, VALUES, GRAPH = "bundle.json", "values.bin", "network.onnx"
SCRIPT, WEIGHTS = "network.pt", "weights.safetensors"
PROGRAM, FROZEN = "network.pte", "frozen.bin"

MAX_CLASSES = 254
MAX_CLASS_NAME_BYTES = 256
_MAX_ENTRIES = 64
_MAX_DESCRIPTION_BYTES = 32 << 20
_MAX_ENTRY_BYTES = 1 << 30
_MAX_RATIO = 64  # of an entry's size to its size in the archive, beyond a first MiB
_SIDES = range(32, 4097)


@dataclass(frozen=True)
class StudentBundle:
    """A student as a bundle describes it. Immutable; safe to read from any thread."""

    path: Path
    fingerprint: int  #: what server and device compare, 64 bits
    manifest: Manifest
    values: np.ndarray = field(repr=False)  #: float32 [dimension], version 0; read-only
    network: str  #: "network.pt", or the name of a network of the library
    input_width: int  #: pixels
    input_height: int  #: pixels
    num_classes: int
    class_names: tuple[str, ...] | None  #: num_classes of them
    selected_classes: tuple[int, ...]  #: ascending ids that labels can have; empty: all
    mean: tuple[float, ...]  #: of RGB in 0 to 1
    standard_deviation: tuple[float, ...]  #: likewise
    train_batch_norm_statistics: bool
    graph: bytes = field(repr=False)  #: network.onnx with `values`
    graph_offsets: tuple[int, ...] = field(repr=False)  #: in graph, bytes, one for each tensor

    @property
    def shown_classes(self) -> tuple[int, ...]:
        """The ids that labels can have."""
        return self.selected_classes or tuple(range(self.num_classes))

    def class_name(self, class_id: int) -> str:
        """Of an id below num_classes, for people."""
        return self.class_names[class_id] if self.class_names else f"class {class_id}"

    def extract_network(self, folder: Path) -> Path:
        """Writes the file with which a server opens the network. Raises as read()."""
        name = SCRIPT if self.network == SCRIPT else WEIGHTS
        try:
            with zipfile.ZipFile(self.path) as archive:
                contents = _Entries(archive).read(name, _MAX_ENTRY_BYTES)
            (folder / name).write_bytes(contents)
        except (OSError, zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise IoError(f"cannot take {name} out of the bundle '{self.path}': {error}") from error
        return folder / name

    def onnx_model(self, values: np.ndarray) -> bytearray:
        """The network with these values as an ONNX model, for a runtime to open.

        Its input `frame` is uint8 [1, input_height, input_width, 3], RGB; its output `labels` is
        uint8 [1, input_height, input_width], class ids. `values`: float32 [dimension]. Raises
        ams.InvalidArgumentError for others.
        """
        values = np.asarray(values)
        if values.shape != (self.manifest.dimension,) or values.dtype != np.float32:
            raise InvalidArgumentError(
                f"values are {values.dtype} {list(values.shape)}; needed are float32 "
                f"[{self.manifest.dimension}]"
            )
        model = bytearray(self.graph)
        stored = memoryview(np.ascontiguousarray(values, dtype="<f4")).cast("B")
        for tensor, offset in zip(self.manifest.tensors, self.graph_offsets, strict=True):
            begin = 4 * tensor.offset
            model[offset : offset + 4 * tensor.size] = stored[begin : begin + 4 * tensor.size]
        return model


def read(path: str | os.PathLike[str]) -> StudentBundle:
    """Reads a bundle and checks all of it; what a runtime says of its graph comes later.

    A bundle contains a program: open only what you trust. Raises ams.IoError when there is no such
    file, ams.MalformedDataError for another kind of file and for a damaged bundle,
    ams.UnsupportedVersionError for one of another version, ams.LimitExceededError for one that is
    too large.
    """
    path = Path(os.fsdecode(path))
    try:
        with open(path, "rb") as file:
            return _read(path, file)
    except OSError as error:
        raise IoError(f"cannot read the bundle '{path}': {error.strerror or error}") from error
    except Error as error:
        raise type(error)(f"the bundle '{path}' cannot be used: {error}") from error


def _read(path: Path, file: BinaryIO) -> StudentBundle:
    try:
        with zipfile.ZipFile(file) as archive:
            entries = _Entries(archive)
            text = entries.read(DESCRIPTION, _MAX_DESCRIPTION_BYTES)
            description = _Description(text)
            manifest = description.manifest()
            values = _values(entries.read(VALUES, _MAX_ENTRY_BYTES), manifest)
            graph = entries.read(description.graph(), _MAX_ENTRY_BYTES)
            entries.require(description.network_file())
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        if isinstance(error, Error):
            raise
        raise MalformedDataError(
            f"it is no student bundle, or a damaged one ({error}); ams.export.bundle writes them"
        ) from error
    width, height = description.input_size()
    bundle = StudentBundle(
        path=path,
        fingerprint=description.fingerprint(),
        manifest=manifest,
        values=values,
        network=description.network(),
        input_width=width,
        input_height=height,
        num_classes=description.num_classes(),
        class_names=description.class_names(),
        selected_classes=description.selected_classes(),
        mean=description.normalization("mean", -1000),
        standard_deviation=description.normalization("standard_deviation", 1e-6),
        train_batch_norm_statistics=_field(
            description.content, "train_batch_norm_statistics", bool
        ),
        graph=graph,
        graph_offsets=description.graph_offsets(manifest, len(graph)),
    )
    if bundle.onnx_model(values) != graph:
        raise MalformedDataError(f"{GRAPH} has other values than {VALUES}")
    return bundle


class _Entries:
    """The files of an archive, none of which may be larger than it says or than is sensible."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        found = archive.infolist()
        if len(found) > _MAX_ENTRIES:
            raise MalformedDataError(f"it has {len(found)} files; allowed are {_MAX_ENTRIES}")
        self._found = {entry.filename: entry for entry in found}
        if len(self._found) != len(found):
            raise MalformedDataError("it has two files of one name")

    def require(self, name: str) -> zipfile.ZipInfo:
        if name not in self._found:
            raise MalformedDataError(f"it has no {name}")
        return self._found[name]

    def read(self, name: str, max_bytes: int) -> bytes:
        entry = self.require(name)
        if entry.file_size > max_bytes:
            raise LimitExceededError(
                f"its {name} has {entry.file_size} bytes; allowed are {max_bytes}"
            )
        if entry.file_size > _MAX_RATIO * entry.compress_size + (1 << 20):
            raise LimitExceededError(
                f"its {name} grows from {entry.compress_size} to {entry.file_size} bytes; allowed "
                f"is a factor of {_MAX_RATIO}"
            )
        if entry.flag_bits & 1:
            raise MalformedDataError(f"its {name} is encrypted")
        return self._archive.read(entry)  # checks the size and the CRC


def _values(stored: bytes, manifest: Manifest) -> np.ndarray:
    if len(stored) != 4 * manifest.dimension:
        raise MalformedDataError(
            f"{VALUES} has {len(stored)} bytes; the tensors take {4 * manifest.dimension}"
        )
    values = np.frombuffer(stored, dtype="<f4").astype(np.float32, copy=False)
    if not np.isfinite(values).all():
        raise MalformedDataError(f"{VALUES} has a value that is not finite")
    return values


class _Description:
    """bundle.json. Each function gives one of its facts, checked."""

    def __init__(self, text: bytes) -> None:
        try:
            content = json.loads(text.decode("utf-8"), parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise MalformedDataError(f"its {DESCRIPTION} is no JSON: {error}") from error
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise MalformedDataError(f'its {DESCRIPTION} has no "format": "{FORMAT}"')
        if content.get("version") != VERSION or isinstance(content["version"], bool):
            raise UnsupportedVersionError(
                f"it has version {content.get('version')!r}; this build reads version {VERSION}: "
                "export it again, or use another version of libams"
            )
        self.content = content

    def fingerprint(self) -> int:
        text = _field(self.content, "fingerprint", str)
        if len(text) != 16 or any(c not in "0123456789abcdef" for c in text):
            raise _wrong("fingerprint", text, "16 hexadecimal digits")
        return int(text, 16)

    def input_size(self) -> tuple[int, int]:
        size = _field(self.content, "input", dict)
        sides = _whole(size, "width"), _whole(size, "height")
        if any(side not in _SIDES for side in sides):
            raise _wrong("input", size, "32 to 4096 pixels each")
        return sides

    def normalization(self, name: str, least: float) -> tuple[float, ...]:
        values = _field(self.content, "normalization", dict).get(name)
        fit = isinstance(values, list) and len(values) == 3
        if not fit or not all(type(v) in (int, float) and least <= v <= 1000 for v in values):
            raise _wrong(f"normalization.{name}", values, f"three numbers of {least} to 1000")
        return tuple(float(value) for value in values)

    def num_classes(self) -> int:
        count = _whole(self.content, "num_classes")
        if not 2 <= count <= MAX_CLASSES:
            raise _wrong("num_classes", count, f"2 to {MAX_CLASSES}")
        return count

    def class_names(self) -> tuple[str, ...] | None:
        names = self.content.get("class_names")
        if names is None:
            return None
        fit = isinstance(names, list) and all(
            isinstance(name, str) and 1 <= len(name.encode("utf-8", "replace")) <= 256
            for name in names
        )
        if not fit or len(names) != self.num_classes():
            raise _wrong("class_names", names, f"{self.num_classes()} texts of up to 256 bytes")
        return tuple(names)

    def selected_classes(self) -> tuple[int, ...]:
        ids = _field(self.content, "selected_classes", list)
        fit = all(type(i) is int and 0 <= i < self.num_classes() for i in ids)
        if not fit or len(ids) == 1 or ids != sorted(set(ids)):
            raise _wrong("selected_classes", ids, "two or more ascending class ids, or none")
        return tuple(ids)

    def network(self) -> str:
        network = _field(self.content, "network", str)
        if network != SCRIPT and not (network.isidentifier() and len(network) <= 64):
            raise _wrong("network", network, f'"{SCRIPT}" or the name of a network')
        return network

    def network_file(self) -> str:
        """The file with which a server opens the network."""
        if self.network() == SCRIPT:
            return SCRIPT
        if self.content.get("weights") != WEIGHTS:
            raise _wrong("weights", self.content.get("weights"), f'"{WEIGHTS}"')
        return WEIGHTS

    def manifest(self) -> Manifest:
        tensors = _field(self.content, "tensors", list)
        specs = [
            (
                _field(tensor, "name", str),
                _field(tensor, "shape", list),
                tensor.get("kind", "parameter"),
                tensor.get("role", "weight"),
            )
            for tensor in map(_mapping, tensors)
        ]
        if not specs:
            raise _wrong("tensors", [], "at least one tensor")
        try:
            manifest = Manifest(specs)
        except Error as error:
            raise MalformedDataError(f"{DESCRIPTION}: {error}") from error
        if manifest.dimension > _MAX_ENTRY_BYTES // 4:
            raise LimitExceededError(
                f"it has {manifest.dimension} values; allowed are {_MAX_ENTRY_BYTES // 4}"
            )
        return manifest

    def graph(self) -> str:
        name = _field(_field(self.content, "onnx", dict), "file", str)
        if name != GRAPH:
            raise _wrong("onnx.file", name, f'"{GRAPH}"')
        return name

    def graph_offsets(self, manifest: Manifest, graph_bytes: int) -> tuple[int, ...]:
        """Where each tensor of the manifest stands in the graph."""
        offsets: dict[str, int] = {}
        for tensor in map(_mapping, _field(self.content["onnx"], "tensors", list)):
            name = _field(tensor, "name", str)
            if name in offsets:
                raise MalformedDataError(f"{GRAPH} has the tensor '{name}' twice")
            offsets[name] = _whole(tensor, "offset")
        end = 0
        for tensor in sorted(manifest.tensors, key=lambda tensor: offsets.get(tensor.name, -1)):
            offset = offsets.get(tensor.name, -1)
            if offset < 0:
                raise MalformedDataError(
                    f"{GRAPH} lacks the trained tensor '{tensor.name}', so no update could reach it"
                )
            if offset < end:
                raise MalformedDataError(f"{GRAPH} has '{tensor.name}' within another tensor")
            end = offset + 4 * tensor.size
            if end > graph_bytes:
                raise MalformedDataError(f"{GRAPH} ends within the tensor '{tensor.name}'")
        names = {tensor.name for tensor in manifest.tensors}
        for name in offsets.keys() - names:
            raise MalformedDataError(f"{GRAPH} has '{name}', which is no tensor of the student")
        return tuple(offsets[tensor.name] for tensor in manifest.tensors)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _mapping(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _wrong("a tensor", value, "an object")
    return value


def _field(content: Mapping[str, Any], name: str, kind: type) -> Any:
    value = content.get(name)
    if not isinstance(value, kind):
        words = {str: "a text", list: "a list", dict: "an object", bool: "true or false"}
        raise _wrong(name, value, words[kind])
    return value


def _whole(content: Mapping[str, Any], name: str) -> int:
    value = content.get(name)
    if type(value) is not int or not 0 <= value < math.inf:
        raise _wrong(name, value, "a whole number from 0")
    return value


def _wrong(name: str, value: object, allowed: str) -> MalformedDataError:
    return MalformedDataError(f"{DESCRIPTION} has {name} {value!r:.100}; allowed is {allowed}")
