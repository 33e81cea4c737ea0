import itertools
import json
import os
import re
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path

import numpy as np
import pytest

import ams
from ams.synthetic import Street, street_class_names, street_eval_classes

LAYERS = ams.build_info()["layers"]
if not LAYERS["video"]:
    pytest.skip("built without the video layer", allow_module_level=True)

from ams import video  # noqa: E402

needs_x264 = pytest.mark.skipif(not LAYERS["x264"], reason="built without x264")
DATA = Path(os.environ.get("AMS_DATA_DIR", Path(__file__).parents[3] / "shared/data"))


def street(seconds=1.0):
    return Street(width=96, height=64, fps=10, seconds=seconds)


def psnr(a, b):
    return 10 * np.log10(255**2 / np.mean((a.astype(float) - b.astype(float)) ** 2))


@needs_x264
def test_samples_come_back():
    frames = [street().render(i)[0] for i in (0, 4, 9)]
    data = video.encode_samples(frames, 10, target_bps=200_000)
    assert isinstance(data, bytes)
    decoded = video.decode_samples(data, 3)
    for frame, back in zip(frames, decoded, strict=True):
        assert back.shape == (64, 96, 3) and back.dtype == np.uint8
        assert psnr(frame, back) > 30
    small = video.encode_samples(frames, 10, width=48, height=32)
    assert video.decode_samples(bytearray(small), 3)[0].shape == (32, 48, 3)
    assert len(video.encode_samples(frames, 10, target_bps=2000)) < len(data)


@needs_x264
def test_bad_samples_are_refused():
    frame = street().render(0)[0]
    data = video.encode_samples([frame], 10)
    with pytest.raises(ams.MalformedDataError):
        video.decode_samples(data, 2)
    with pytest.raises(ams.MalformedDataError):
        video.decode_samples(b"noise" * 20, 1)
    with pytest.raises(ams.LimitExceededError):
        video.decode_samples(data, 1, max_width=64)
    for arguments in ({"preset": "hasty"}, {"target_bps": 0}, {"width": 31, "height": 31}):
        with pytest.raises(ams.InvalidArgumentError):
            video.encode_samples([frame], 10, **arguments)
    with pytest.raises(TypeError, match="allowed are target_bps"):
        video.encode_samples([frame], 10, bitrate=3)
    for frames in ([], [frame.astype(float)], [frame[:, :, 0]], [frame[:, ::2]]):
        with pytest.raises(ams.InvalidArgumentError):
            video.encode_samples(frames, 10)


@needs_x264
def test_a_clip_is_written_and_read(tmp_path):
    drive = street()
    info = video.ClipInfo(
        fps=10,
        label_stride=2,
        classes=street_class_names(),
        eval_classes=street_eval_classes(),
        kind="rendered",
    )
    with video.ClipWriter(tmp_path / "clip", info, crf=10) as writer:
        for i in range(len(drive)):
            frame, labels = drive.render(i)
            assert writer.wants_labels == (i % 2 == 0)
            writer.add(frame, labels if writer.wants_labels else None)
    clip = video.Clip(tmp_path / "clip")
    assert (clip.info.frames, clip.info.label_frames, clip.info.width) == (10, 5, 96)
    assert clip.info.classes == street_class_names()
    assert clip.info.label_period_seconds == 0.2
    assert clip.label_index(clip.label_seconds(3)) == 3
    labels = video.LabelTrackReader(clip.labels_path)
    assert len(labels) == 5
    for j, track in enumerate(labels):
        assert np.array_equal(track, drive.render(2 * j)[1])
    assert np.array_equal(labels[-1], labels[4])
    with pytest.raises(IndexError):
        labels[5]

    times = []
    reader = video.VideoReader(Path(clip.video_path))
    assert (reader.width, reader.height, reader.fps, reader.live) == (96, 64, 10, False)
    for i, (seconds, frame) in enumerate(reader):
        times.append(seconds)
        assert psnr(frame, drive.render(i)[0]) > 30
    assert np.allclose(times, np.arange(10) / 10)
    assert reader.next() is None
    seconds, frame = video.VideoReader(clip.video_path, width=48, height=32).next()
    assert frame.shape == (32, 48, 3)
    cancelled = video.VideoReader(clip.video_path)
    cancelled.cancel()
    assert list(cancelled) == []


@needs_x264
def test_a_clip_is_replaced_only_when_that_is_said(tmp_path):
    info = video.ClipInfo(fps=10, classes=["road"], eval_classes=[0])
    frame = np.zeros((32, 32, 3), np.uint8)
    coarse = np.zeros((1, 2), np.uint8)
    for replace in (False, True):
        with video.ClipWriter(tmp_path / "clip", info, replace=replace) as writer:
            writer.add(frame, coarse)
    assert video.Clip(tmp_path / "clip").info.label_width == 32
    with pytest.raises(ams.InvalidArgumentError, match="replace"):
        video.ClipWriter(tmp_path / "clip", info)
    writer = video.ClipWriter(tmp_path / "clip", info, replace=True)
    with pytest.raises(ams.InvalidArgumentError, match="has the id 1 at x = 0, y = 0"):
        writer.add(frame, coarse + 1)


@needs_x264
def test_a_clip_whose_labels_do_not_fit_its_video_is_refused(tmp_path):
    info = video.ClipInfo(fps=10, label_stride=2, classes=["road"], eval_classes=[0])
    with video.ClipWriter(tmp_path / "clip", info) as writer:
        for _ in range(9):
            labels = np.zeros((16, 16), np.uint8) if writer.wants_labels else None
            writer.add(np.zeros((32, 32, 3), np.uint8), labels)
    path = tmp_path / "clip" / "clip.json"
    text = path.read_text()
    for changes, message in (
        ({"fps": 10.2}, '"fps": 10.2; write "fps": 10'),
        ({"frames": 10}, "video.mp4 has 9"),
        ({"label_stride": 1}, "label 5 of the 9 frames"),
    ):
        path.write_text(json.dumps({**json.loads(text), **changes}))
        with pytest.raises(ams.MalformedDataError, match=re.escape(message)):
            video.Clip(tmp_path / "clip")


@needs_x264
def test_an_unfinished_clip_leaves_nothing(tmp_path):
    info = video.ClipInfo(fps=10, classes=["road"], eval_classes=[0])
    frame = np.zeros((32, 32, 3), np.uint8)
    with pytest.raises(RuntimeError, match="a bug"):
        with video.ClipWriter(tmp_path / "clip", info) as writer:
            writer.add(frame, frame[:, :, 0].copy())
            raise RuntimeError("a bug")
    del writer
    assert not (tmp_path / "clip").exists()
    with pytest.raises(TypeError, match="needs classes"):
        video.ClipInfo(fps=10)


@needs_x264
def test_a_video_is_written_and_read(tmp_path):
    drive = street()
    with video.VideoWriter(tmp_path / "a.mp4", width=96, height=64, fps=10) as writer:
        for i in range(5):
            writer.add(drive.render(i)[0])
    assert len(list(video.VideoReader(str(tmp_path / "a.mp4")))) == 5
    with pytest.raises(ams.InvalidArgumentError):
        video.VideoWriter(tmp_path / "b.mp4", width=97, height=64)


def test_missing_and_wrong_files(tmp_path):
    with pytest.raises(ams.IoError):
        video.VideoReader(str(tmp_path / "nothing.mp4"))
    with pytest.raises(OSError):
        video.Clip(tmp_path)
    (tmp_path / "text.mp4").write_text("this is no video" * 100)
    with pytest.raises(ams.MalformedDataError):
        video.VideoReader(str(tmp_path / "text.mp4"))
    with pytest.raises(ams.InvalidArgumentError, match="'area', 'bicubic'"):
        video.VideoReader(str(tmp_path / "text.mp4"), scaling="nearest")


def test_pictures_in_files_are_a_video(tmp_path):
    for i in range(1, 13):
        picture = np.full((16, 24, 3), i, np.uint8)
        (tmp_path / f"f{i}.ppm").write_bytes(b"P6 24 16 255\n" + picture.tobytes())
    for source in (tmp_path, tmp_path / "f%d.ppm", tmp_path / "f*.ppm"):
        reader = video.VideoReader(source, fps=4)
        assert (reader.fps, reader.frame_count, reader.duration_seconds) == (4, 12, 3)
        assert (reader.live, reader.still_picture) == (False, False)
        frames = list(reader)
        assert [seconds for seconds, _ in frames] == [i / 4 for i in range(12)]
        assert [int(frame[0, 0, 0]) for _, frame in frames] == list(range(1, 13))
        with pytest.raises(ams.InvalidArgumentError, match="12 pictures.*fps"):
            video.VideoReader(source)
    (tmp_path / "f13.ppm").write_bytes(b"P6 8 8 255\n" + bytes(192))
    differ = "f13.ppm: 8 x 8 pixels, but .*f1.ppm is 24 x 16"
    with pytest.raises(ams.MalformedDataError, match=differ):
        list(video.VideoReader(tmp_path, fps=4))
    alone = video.VideoReader(tmp_path / "f1.ppm")
    assert alone.still_picture and len(list(alone)) == 1


def test_what_is_no_video_is_refused_as_what_it_is(tmp_path):
    path = tmp_path / "list.txt"
    for text, said in (
        ("/data/drive.mp4\n" * 60, "not a video: it is text"),
        ("", "it is empty"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "git lfs pull"),
    ):
        path.write_text(text)
        with pytest.raises(ams.MalformedDataError, match=said):
            video.VideoReader(path)
    path.write_text("x")
    for arguments in ({"live": True}, {"fps": -1}):
        with pytest.raises(ams.InvalidArgumentError):
            video.VideoReader(path, **arguments)
    with pytest.raises(ams.MalformedDataError, match="without pictures"):
        video.VideoReader(tmp_path, fps=10)


def test_an_endless_stream_is_live():
    """Pictures that a server sends at once, over HTTP and without a length."""

    def chunk(kind, data):
        size, check = (struct.pack(">I", n) for n in (len(data), zlib.crc32(kind + data)))
        return size + kind + data + check

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 24, 16, 8, 2, 0, 0, 0))
    rows = zlib.compress(16 * bytes(1 + 24 * 3))
    picture = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    server = socket.create_server(("127.0.0.1", 0))

    def serve():
        connection, _ = server.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + picture * 2000)

    thread = threading.Thread(target=serve)
    thread.start()
    begin = time.monotonic()
    reader = video.VideoReader(f"http://127.0.0.1:{server.getsockname()[1]}/")
    assert reader.live and reader.reopenable and reader.frame_count is None
    times = [reader.next()[0] for _ in range(50)]
    assert times[0] == 0 and all(a < b for a, b in itertools.pairwise(times))
    assert times[-1] <= time.monotonic() - begin + 0.0491  # a millisecond apart, not 1 / 25 s
    thread.join()
    server.close()


def test_ctrl_c_ends_the_opening_of_a_stream():
    """A server that accepts and never says a word."""
    program = """
import signal, socket, sys, threading, time
from ams import video
server = socket.create_server(("127.0.0.1", 0))
threading.Timer(0.5, signal.raise_signal, [signal.SIGINT]).start()
begin = time.monotonic()
try:
    video.VideoReader(f"rtsp://127.0.0.1:{server.getsockname()[1]}/", timeout_seconds=60)
except KeyboardInterrupt:
    sys.exit(0 if time.monotonic() - begin < 30 else "after half a minute")
sys.exit("no KeyboardInterrupt")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr


def test_scaling_keeps_the_mean():
    frame = street().render(3)[0]
    small = video.scale_frame(frame, width=48, height=32)
    assert small.shape == (32, 48, 3)
    assert abs(small.mean() - frame.mean()) < 2


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no recorded clips in {DATA} (AMS_DATA_DIR)")
def test_recorded_clips():
    for folder in sorted((DATA / "clips").iterdir())[:2]:
        clip = video.Clip(folder)
        _, frame = video.VideoReader(clip.video_path, width=64, height=32).next()
        assert frame.shape == (32, 64, 3)
        labels = video.LabelTrackReader(clip.labels_path)
        assert len(labels) == clip.info.label_frames
        assert labels[0].shape == (clip.info.label_height, clip.info.label_width)
