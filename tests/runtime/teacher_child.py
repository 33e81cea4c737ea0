"""A teacher's process for process_teacher_test.cpp, by itself: it behaves as its argument says.

Labels are 8 bytes: the frame's first pixel as a number, as toy::Task packs it."""

import os
import signal
import struct
import sys
import time
from pathlib import Path

mode, folder = sys.argv[1], Path(sys.argv[2])
starts = folder / "starts"
with starts.open("a") as file:
    file.write("x")
first_start = len(starts.read_text()) == 1


def read(count):
    data = b""
    while len(data) < count:
        part = os.read(3, count - len(data))
        if not part:
            sys.exit(0)
        data += part
    return data


def write(message, length=None):
    data = struct.pack(">I", len(message) if length is None else length) + message
    while data:
        data = data[os.write(3, data) :]


def numbers(*values):
    return struct.pack(f"<{len(values)}I", *values)


def answer(frames):
    return numbers(0, len(frames)) + b"".join(
        numbers(0) if frame[0] == 255 else numbers(8) + struct.pack("<Q", frame[0]) for frame in frames
    )


if mode == "ends at the start":
    sys.exit(7)
if mode == "says why not":
    write(numbers(1) + b"no such network")
    sys.exit(1)
if mode == "never ready":
    time.sleep(100)
if mode == "odd sign":
    write(b"hello")
    time.sleep(100)
write(numbers(0, 0))
while True:
    size = struct.unpack(">I", read(4))[0]
    request = read(size)
    count, height, width = struct.unpack_from("<3I", request)
    stride = height * width * 3
    assert size == 12 + count * stride, (size, count, height, width)
    frames = [request[12 + i * stride : 12 + (i + 1) * stride] for i in range(count)]
    good = answer(frames)
    if not first_start:
        write(good)
    elif mode == "raises" and frames[0][0] == 9:
        write(numbers(1) + b"the teacher raised ValueError: nine")
    elif mode == "is killed":
        os.kill(os.getpid(), signal.SIGKILL)
    elif mode == "ends":
        sys.exit(3)
    elif mode == "hangs":
        time.sleep(100)
    elif mode == "another count":
        write(numbers(0, count + 1) + good[8:])
    elif mode == "a long label":
        write(numbers(0, count, 1 << 31) + b"12345678")
    elif mode == "more":
        write(good + b"!")
    elif mode == "short":
        write(good[:-1])
    elif mode == "a bad label":
        write(numbers(0, count) + (numbers(3) + b"bad") * count)
    elif mode == "a huge answer":
        write(b"", length=0xFFFFFFFF)
    elif mode == "half an answer":
        write(good[:5], length=len(good))
        sys.exit(0)
    elif mode == "another kind":
        write(numbers(7, count))
    elif mode == "leaves a child":
        if os.fork() == 0:
            (folder / "grandchild").write_text(str(os.getpid()))
            time.sleep(100)
        while not (folder / "grandchild").exists():
            time.sleep(0.01)
        sys.exit(0)
    elif mode == "inherited":
        open_now = [int(name) for name in os.listdir("/proc/self/fd")]
        (folder / "open").write_text(" ".join(str(n) for n in sorted(open_now)))
        write(good)
    else:
        write(good)
