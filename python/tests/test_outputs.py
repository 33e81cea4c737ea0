"""ams.outputs against records written by hand; tests/system/outputs_test.py has real ones."""

import io
import os
import struct

import numpy as np
import pytest

import ams
from ams.outputs import predictions

LINE = (
    b'{"frame":17,"seconds":0.5,"unix_seconds":1760000000.25,"latency_seconds":0.0125,'
    b'"model_version":3,"width":4,"height":2,"classes":{"0":0.25,"8":0.75},'
    b'"of a later version":1}\n'
)
IDS = bytes([8, 8, 8, 0, 8, 8, 0, 8])


def labels_record(frame, ids=IDS, header_bytes=64, magic=b"AMSL", width=4):
    times = (0.5, 1760000000.25, 0.0125)
    values = (magic, 1, header_bytes, frame, *times, 3, width, 2, len(ids), 0)
    header = struct.pack("<4sHHQdddIIIIQ", *values)
    return header + bytes(header_bytes - 64) + ids


def test_json_lines():
    first, second = predictions(io.BytesIO(LINE + LINE.replace(b"17", b"18") + LINE[:-20]))
    assert (first.frame, second.frame) == (17, 18)
    assert (first.seconds, first.unix_seconds) == (0.5, 1760000000.25)
    assert first.latency_seconds == 0.0125
    assert (first.model_version, first.width, first.height) == (3, 4, 2)
    assert first.classes == {0: 0.25, 8: 0.75}
    assert first.labels is None


@pytest.mark.parametrize("header_bytes", [64, 72])
def test_label_maps(header_bytes):
    data = b"".join(labels_record(frame, header_bytes=header_bytes) for frame in range(3))
    seen = list(predictions(io.BytesIO(data[:-1])))
    assert [prediction.frame for prediction in seen] == [0, 1]
    np.testing.assert_array_equal(seen[1].labels, np.frombuffer(IDS, np.uint8).reshape(2, 4))
    assert seen[1].classes == {0: 0.25, 8: 0.75}
    assert (seen[1].seconds, seen[1].model_version) == (0.5, 3)


def test_a_file_an_end_and_nothing(tmp_path):
    (tmp_path / "records").write_bytes(LINE)
    path = tmp_path / "records"
    for where in (path, str(path), os.fsencode(path)):
        assert [seen.frame for seen in predictions(where)] == [17]
    assert list(predictions(io.BytesIO(b""))) == []
    with pytest.raises(FileNotFoundError):
        next(predictions(str(tmp_path / "none")))
    with pytest.raises(FileNotFoundError):
        next(predictions(f"unix:{tmp_path}/none"))


@pytest.mark.parametrize(
    "data",
    [
        b"\x00" * 100,
        b"{}\n",
        b'{"frame":1}\n',
        b"{\n",
        labels_record(1, magic=b"ELSE"),
        labels_record(1, width=5),
    ],
)
def test_other_bytes_are_refused(data):
    with pytest.raises(ams.Error, match="no prediction of a device"):
        list(predictions(io.BytesIO(data)))


@pytest.mark.skipif(not os.path.isdir("/dev/shm"), reason="no /dev/shm")
def test_shared_memory_holds_the_newest_record_and_may_grow():
    name = f"ams-test-{os.getpid()}"
    path = f"/dev/shm/{name}"

    def write(sequence, record, alive=1):
        with open(path, "r+b" if os.path.exists(path) else "w+b") as file:
            file.write(struct.pack("=4sIQQI36x", b"AMSM", 1, sequence, len(record), alive) + record)

    try:
        write(2, labels_record(1))
        reader = predictions(f"shm:{name}")
        assert next(reader).frame == 1
        write(8, labels_record(4, ids=IDS * 1000, width=4000))
        large = next(reader)
        assert (large.frame, large.labels.shape) == (4, (2, 4000))
        write(10, labels_record(5))
        write(10, labels_record(5), alive=0)
        assert [seen.frame for seen in reader] == [5]
        write(0, b"")
        write(0, b"", alive=0)
        assert list(predictions(f"shm:{name}")) == []
    finally:
        os.unlink(path)
