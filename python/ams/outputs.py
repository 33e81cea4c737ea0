"""What a device sees, for programs in Python: reads what ``ams-edge --output`` writes.

    for seen in ams.outputs.predictions("unix:/run/camera"):
        print(seen.frame, seen.classes)

The formats stand in include/ams/segmentation/prediction_record.hpp, the places in
include/ams/runtime/record_sink.hpp. Nothing here needs more than numpy.
"""

from __future__ import annotations

import dataclasses
import json
import mmap
import os
import socket
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from typing import BinaryIO

import numpy as np

from .errors import MalformedDataError

__all__ = ["Prediction", "predictions"]

_LABELS_HEADER = struct.Struct("<4sHHQdddIIIIQ")
_SHARED_HEADER = struct.Struct("=4sIQQI36x")
_SHARED_POLL_SECONDS = 0.001


@dataclasses.dataclass(frozen=True)
class Prediction:
    """One prediction of a device."""

    frame: int  #: number of the frame, from 0; those that the device dropped count
    seconds: float  #: on the video's timeline
    unix_seconds: float  #: when the prediction was there
    latency_seconds: float  #: from when the frame was due until the prediction was there
    model_version: int
    width: int  #: of the label map, pixels
    height: int
    classes: dict[int, float]  #: share of the pixels, by class id
    labels: np.ndarray | None  #: uint8 [height, width]; None where JSON lines are written


def predictions(where: str | bytes | os.PathLike | BinaryIO) -> Iterator[Prediction]:
    """The predictions of a device as they come, until it ends.

    ``where``: as ``ams-edge --output`` has it (a path, ``unix:PATH``, ``tcp:HOST:PORT``,
    ``shm:NAME``), ``-`` for standard input, or a binary file. JSON lines and label maps are told
    apart by their first byte. Of ``shm:``, predictions that are replaced before they are looked
    at are skipped. A last record that was cut off is left out. Raises OSError where there is
    nothing to read, MalformedDataError for other bytes. Stop early by closing the generator.
    """
    if isinstance(where, (bytes, os.PathLike)):
        where = os.fsdecode(where)
    if not isinstance(where, str):
        yield from _records(where)
    elif where == "-":
        yield from _records(sys.stdin.buffer)
    elif where.startswith("shm:"):
        yield from _shared(where.removeprefix("shm:"))
    elif where.startswith(("unix:", "tcp:")):
        with closing(_connected(where)) as connection, connection.makefile("rb") as file:
            yield from _records(file)
    else:
        with open(where, "rb") as file:
            yield from _records(file)


def _connected(where: str) -> socket.socket:
    kind, _, address = where.partition(":")
    if kind == "tcp":
        host, _, port = address.rpartition(":")
        return socket.create_connection((host.strip("[]"), int(port)))
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(address)
    except OSError:
        connection.close()
        raise
    return connection


def _records(file: BinaryIO) -> Iterator[Prediction]:
    first = file.read(1)
    if first == b"{":
        line = first + file.readline()
        while line.endswith(b"\n"):
            yield _from_line(line)
            line = file.readline()
    elif first:
        header = first + file.read(_LABELS_HEADER.size - 1)
        while len(header) == _LABELS_HEADER.size:
            fields = _LABELS_HEADER.unpack(header)
            unknown_bytes = fields[2] - _LABELS_HEADER.size
            _check(fields[0] == b"AMSL" and unknown_bytes >= 0, header)
            file.read(unknown_bytes)
            ids = file.read(fields[10])
            if len(ids) < fields[10]:
                return
            yield _from_labels(fields, ids)
            header = file.read(_LABELS_HEADER.size)


def _from_line(line: bytes) -> Prediction:
    try:
        values = json.loads(line)
        values["classes"] = {int(id): share for id, share in values["classes"].items()}
        values["labels"] = None
        names = [field.name for field in dataclasses.fields(Prediction)]
        return Prediction(**{name: values[name] for name in names})
    except (ValueError, KeyError, TypeError):
        _check(False, line)
        raise


def _from_labels(fields: tuple, ids: bytes) -> Prediction:
    _, _, _, frame, seconds, unix_seconds, latency_seconds, version, width, height, size, _ = fields
    _check(width * height == size > 0, repr(fields).encode())
    labels = np.frombuffer(ids, np.uint8).reshape(height, width)
    pixels = np.bincount(labels.ravel())
    classes = {int(id): pixels[id] / size for id in np.flatnonzero(pixels)}
    return Prediction(
        frame, seconds, unix_seconds, latency_seconds, version, width, height, classes, labels
    )


def _shared(name: str) -> Iterator[Prediction]:
    with open(f"/dev/shm/{name}", "rb") as file:
        memory = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        seen = 0
        while True:
            magic, layout, sequence, size, alive = _SHARED_HEADER.unpack_from(memory)
            _check(magic == b"AMSM" and layout == 1, magic)
            begin = _SHARED_HEADER.size
            if size > len(memory) - begin:
                memory = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
                continue
            record = memory[begin : begin + size]
            is_whole = sequence % 2 == 0 and _SHARED_HEADER.unpack_from(memory)[2] == sequence
            if is_whole and sequence != seen:
                seen = sequence
                start = _LABELS_HEADER.unpack_from(record)
                yield _from_labels(start, record[start[2] : start[2] + start[10]])
            elif not alive:
                return
            else:
                time.sleep(_SHARED_POLL_SECONDS)


def _check(is_right: bool, found: bytes) -> None:
    if not is_right:
        raise MalformedDataError(f"no prediction of a device: {found[:60]!r}")
