"""
Bindings of ams::video; use ams.video.
"""
from __future__ import annotations
import collections.abc
import numpy
import os
import typing
__all__: list[str] = ['Clip', 'ClipInfo', 'ClipWriter', 'LabelTrackReader', 'VideoReader', 'VideoWriter', 'decode_samples', 'encode_samples', 'scale_frame']
class VideoReader:
    """
    Reads the frames of a video file, a camera or a network stream in presentation order, without the
    GIL.
    
        for capture_seconds, frame in VideoReader("drive.mp4", width=512, height=256):
            ...
    
    frame: uint8 [height, width, 3], RGB, turned and mirrored as the container asks. capture_seconds:
    from 0, strictly ascending; the stream's own times. One thread at a time, but for cancel(). Ctrl-C
    ends waiting for a live source.
    
    Live or recorded: files are recordings. Cameras, RTSP and MJPEG over HTTP are live. Another address
    or pipe is a recording where it tells its duration (MP4, a complete HLS playlist) or its size (a
    file over HTTP), and live where it tells neither. Frames of a live stream that carries no times
    (MJPEG, raw H.264) have the times at which they come.
    """
    def __init__(self, source: str | os.PathLike[str], *, width: int = 0, height: int = 0, scaling: str = 'area', fps: float = 0.0, live: bool | None = None, timeout_seconds: float = 10.0, camera_width: int = 0, camera_height: int = 0, camera_fps: float = 0.0, max_width: int = 8192, max_height: int = 8192, threads: int = 1) -> None:
        """
        source: a file's path; a folder of pictures, 'f%03d.png' or 'f*.png' with fps; 'camera:0'; an rtsp(s)://, http(s)://, rtmp(s)://, rtp://, udp://, tcp:// or srt:// address; a FIFO's path, or '-' for standard input. A picture alone is a video of one frame.
            width: of the frames that come out, pixels; 0 x 0 keeps the video's own
            height: likewise
            scaling: 'area' or 'bicubic'
            fps: frames a second of a folder or pattern of pictures, which need it, and of raw streams; 0: the source's own
            live: whether an address or a pipe is live; None: told by the source. Not for files
            timeout_seconds: how long opening a network stream or a pipe, or its next frame, may take
            camera_width: what to ask of a camera; 0: its own choice
            camera_height: likewise
            camera_fps: likewise
            max_width: larger pictures are refused
            max_height: likewise
            threads: of the decoder, 1 to 64
        Raises IoError, MalformedDataError, LimitExceededError, UnavailableError, UnauthorizedError or InvalidArgumentError.
        """
    def __iter__(self) -> typing.Any:
        ...
    def __next__(self) -> tuple[float, numpy.ndarray]:
        ...
    def cancel(self) -> None:
        """
        Makes a waiting next(), and all later ones, return None. From any thread.
        """
    def next(self) -> tuple[float, numpy.ndarray] | None:
        """
        The next (capture_seconds, frame); None at the end or after cancel().
        """
    @property
    def duration_seconds(self) -> float | None:
        """
        As the container claims; None where it does not.
        """
    @property
    def fps(self) -> float:
        """
        The rate that the container names, or its mean; 25 where none. Of a live stream without times of its own: the mean so far.
        """
    @property
    def frame_count(self) -> int | None:
        """
        As the container claims; None where it does not. After the end: the frames that have come.
        """
    @property
    def height(self) -> int:
        """
        Likewise.
        """
    @property
    def live(self) -> bool:
        """
        True for cameras and streams without an end.
        """
    @property
    def refused_packets(self) -> int:
        """
        Packets skipped so far because they could not be decoded.
        """
    @property
    def reopenable(self) -> bool:
        """
        False for standard input: what has ended there does not come back.
        """
    @property
    def still_picture(self) -> bool:
        """
        True for a picture in one file: a video of one frame.
        """
    @property
    def width(self) -> int:
        """
        Of the frames, pixels; of a live source what its header says.
        """
class LabelTrackReader:
    """
    Reads a label track: a Matroska file with one FFV1 stream of 8-bit grey pictures whose values are
    class ids. len() is the number of label frames; reader[j] is label frame j, uint8 [height, width].
    One thread at a time.
    """
    def __getitem__(self, index: typing.SupportsInt | typing.SupportsIndex) -> numpy.ndarray:
        ...
    def __init__(self, path: os.PathLike[str] | str | bytes) -> None:
        """
        Raises IoError, MalformedDataError or LimitExceededError.
        """
    def __len__(self) -> int:
        ...
    @property
    def fps(self) -> float:
        """
        As the file says; 0 where it does not.
        """
    @property
    def height(self) -> int:
        """
        Pixels.
        """
    @property
    def width(self) -> int:
        """
        Pixels.
        """
class ClipInfo:
    """
    What a clip's clip.json says.
    """
    def __init__(self, *, classes: collections.abc.Iterable[str], eval_classes: collections.abc.Iterable[int], name: str = '', fps: float = 0.0, label_stride: int = 1, ignore_id: int = 255, frames: int = 0, label_frames: int = 0, width: int = 0, height: int = 0, label_width: int = 0, label_height: int = 0, kind: str = '', labels_by: str = '', source: str = '', licence: str = '') -> None:
        """
            classes: names by class id, 1 to 255
            eval_classes: ids that count in the mIoU
            name: the folder's name where the file gives none
            fps: of the video, constant
            label_stride: label frame j labels video frame j * label_stride
            ignore_id: pixels that nobody labelled
            frames: of video; 0: not said
            label_frames: 0: not said
            width: of the video, pixels; 0: not said
            height: likewise
            label_width: likewise
            label_height: likewise
            kind: e.g. 'fixed camera'
            labels_by: who or what made the labels
            source: where the video is from
            licence: of the video
        """
    def __repr__(self) -> str:
        ...
    @property
    def classes(self) -> list[str]:
        """
        Names by class id.
        """
    @property
    def eval_classes(self) -> list[int]:
        """
        Class ids that count in the mIoU.
        """
    @property
    def fps(self) -> float:
        """
        of the video, constant
        """
    @property
    def frames(self) -> int:
        """
        of video; 0: not said
        """
    @property
    def height(self) -> int:
        """
        likewise
        """
    @property
    def ignore_id(self) -> int:
        """
        pixels that nobody labelled
        """
    @property
    def kind(self) -> str:
        """
        e.g. 'fixed camera'
        """
    @property
    def label_frames(self) -> int:
        """
        0: not said
        """
    @property
    def label_height(self) -> int:
        """
        likewise
        """
    @property
    def label_period_seconds(self) -> float:
        """
        Between label frames.
        """
    @property
    def label_stride(self) -> int:
        """
        label frame j labels video frame j * label_stride
        """
    @property
    def label_width(self) -> int:
        """
        likewise
        """
    @property
    def labels_by(self) -> str:
        """
        who or what made the labels
        """
    @property
    def licence(self) -> str:
        """
        of the video
        """
    @property
    def name(self) -> str:
        """
        the folder's name where the file gives none
        """
    @property
    def scenes(self) -> list[tuple[float, str]]:
        """
        (start_seconds, name) of parts that look different; empty where nobody told them apart.
        """
    @property
    def source(self) -> str:
        """
        where the video is from
        """
    @property
    def width(self) -> int:
        """
        of the video, pixels; 0: not said
        """
class Clip:
    """
    A recorded clip: a folder with video.mp4, labels.mkv and clip.json. A value: the description and
    where the files are.
    """
    def __init__(self, folder: os.PathLike[str] | str | bytes) -> None:
        """
        Reads clip.json and holds it against the two files: sizes, counts, a constant frame rate, ids.
        Raises IoError, MalformedDataError or LimitExceededError.
        """
    def label_index(self, capture_seconds: typing.SupportsFloat | typing.SupportsIndex) -> int:
        """
        The label frame nearest to a capture time. Raises InvalidArgumentError for a time outside the
        labelled video.
        """
    def label_seconds(self, index: typing.SupportsInt | typing.SupportsIndex) -> float:
        """
        Capture time of label frame `index`.
        """
    @property
    def info(self) -> ClipInfo:
        """
        ClipInfo, all sizes filled in.
        """
    @property
    def labels_path(self) -> str:
        """
        For LabelTrackReader.
        """
    @property
    def video_path(self) -> str:
        """
        For VideoReader.
        """
class ClipWriter:
    """
    Writes a clip folder. The folder appears, complete, when finish() returns. As a context manager it
    finishes at the end of the block, unless an exception ends the block.
    """
    def __enter__(self) -> typing.Any:
        ...
    def __exit__(self, arg0: typing.Any, arg1: typing.Any, arg2: typing.Any) -> None:
        ...
    def __init__(self, folder: os.PathLike[str] | str | bytes, info: ClipInfo, *, crf: typing.SupportsFloat | typing.SupportsIndex = 18.0, preset: str = 'medium', replace: bool = False) -> None:
        """
        folder: must not exist, its parent must. replace: folder may be a clip folder, which stays until
        finish(). info: all but counts and sizes. crf: 0 (best) to 51. preset: x264's. Raises
        InvalidArgumentError, IoError or UnavailableError (built without x264).
        """
    def add(self, frame: numpy.ndarray, labels: numpy.ndarray | None = None) -> None:
        """
        The next frame, uint8 [H, W, 3], even sizes; with labels, uint8 [H, W], exactly when wants_labels.
        Labels of less than 16 pixels a side are enlarged by a whole factor. Raises InvalidArgumentError,
        also for an id that is neither a class nor the ignore_id.
        """
    def finish(self) -> None:
        """
        Completes the folder.
        """
    @property
    def wants_labels(self) -> bool:
        """
        Is the next frame one of every label_stride, so that it needs labels?
        """
class VideoWriter:
    """
    Writes frames at a constant rate as H.264 in an MP4 file, which appears under its name when finish()
    returns. A context manager, as ClipWriter.
    """
    def __enter__(self) -> typing.Any:
        ...
    def __exit__(self, arg0: typing.Any, arg1: typing.Any, arg2: typing.Any) -> None:
        ...
    def __init__(self, path: os.PathLike[str] | str | bytes, *, width: typing.SupportsInt | typing.SupportsIndex, height: typing.SupportsInt | typing.SupportsIndex, fps: typing.SupportsFloat | typing.SupportsIndex = 25.0, crf: typing.SupportsFloat | typing.SupportsIndex = 20.0, preset: str = 'medium') -> None:
        """
        Sizes in pixels, even, 16 to 8192. fps: 0.01 to 1000. crf: 0 (best) to 51. Raises
        InvalidArgumentError, IoError or UnavailableError (built without x264).
        """
    def add(self, frame: numpy.ndarray) -> None:
        """
        The next frame, uint8 [height, width, 3], RGB.
        """
    def finish(self) -> None:
        """
        Completes the file.
        """
def decode_samples(bitstream: bytes | bytearray | memoryview | numpy.ndarray, expected_frames: int, *, max_bytes: int = 8388608, max_frames: int = 256, max_width: int = 2048, max_height: int = 2048, max_rgb_bytes: int = 134217728) -> list[numpy.ndarray]:
    """
    The frames (uint8 [H, W, 3], RGB) of what encode_samples() wrote. The bytes may be hostile.
    
        expected_frames: exactly so many, >= 1
        max_bytes: of bitstream
        max_frames: frames
        max_width: pixels
        max_height: pixels
        max_rgb_bytes: of all decoded frames together
    Raises LimitExceededError, MalformedDataError or InvalidArgumentError. Runs without the GIL.
    """
def encode_samples(frames: collections.abc.Iterable[numpy.ndarray], period_seconds: float, *, target_bps: float = 200000.0, width: int = 0, height: int = 0, preset: str = 'medium', min_qp: int = 18, tolerance: float = 0.05, max_passes: int = 5) -> bytes:
    """
    Compresses one buffer of samples with x264 in two or more passes (section 3.2): H.264 Annex B.
    
        frames: 1 to 4096, uint8 [H, W, 3], RGB, all of one size
        period_seconds: the time that the buffer stands for (T_update), above 0, up to 86400
        target_bps: bits per second of period_seconds, 1 to 1e9
        width: of the coded pictures, even, 16 to 4096; 0 x 0: the frames' own
        height: likewise
        preset: x264's, ultrafast to placebo
        min_qp: no finer quantiser than this, 0 to 51
        tolerance: encoding stops within this fraction of the target
        max_passes: or after so many passes, 2 to 10
    Raises InvalidArgumentError, IoError or UnavailableError (built without x264). Runs without the GIL.
    """
def scale_frame(frame: numpy.ndarray, *, width: typing.SupportsInt | typing.SupportsIndex, height: typing.SupportsInt | typing.SupportsIndex, scaling: str = 'area') -> numpy.ndarray:
    """
    The frame, uint8 [H, W, 3], in another size, 1 to 16384 pixels each. scaling: 'area' (best for
    shrinking) or 'bicubic'.
    """
