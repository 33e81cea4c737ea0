"""
Bindings of what ams-edge is made of; use ams.edge.
"""
from __future__ import annotations
import ams._core
import collections.abc
import numpy
import numpy.typing
import os
import typing
__all__: list[str] = ['Device', 'DueFrame', 'PredictionOutput', 'VideoSource', 'configure_log', 'flush_log', 'log', 'now_seconds', 'require_output_place', 'require_writable', 'write_file_atomically']
class Device:
    """
    A device's host, link, encoder and state file; see ams.edge.
    """
    def __init__(self, *, manifest: ams._core.Manifest, values: numpy.typing.ArrayLike, fingerprint: typing.SupportsInt | typing.SupportsIndex, active: typing.Any, inactive: typing.Any, task: typing.Any, state: str, host: str, port: typing.SupportsInt | typing.SupportsIndex, ca: str, accept_any_host_name: bool, uplink_bps: typing.SupportsFloat | typing.SupportsIndex, uplink_size: tuple[typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex], options: ams._core.ClientOptions) -> None:
        ...
    def close(self, reason: str, timeout_seconds: typing.SupportsFloat | typing.SupportsIndex) -> None:
        """
        Says goodbye, takes over what has come, saves and ends all threads.
        """
    def offer(self, capture_seconds: typing.SupportsFloat | typing.SupportsIndex, frame: numpy.ndarray) -> None:
        """
        A frame that may be sampled.
        """
    def predict(self, frame: typing.Any) -> typing.Any:
        """
        What the student says of it.
        """
    def start(self) -> None:
        """
        Connects. Once.
        """
    @property
    def closed(self) -> bool:
        """
        After close().
        """
    @property
    def counters(self) -> ams._core.ClientCounters:
        """
        ClientCounters.
        """
    @property
    def held(self) -> ams._core.ModelState:
        """
        The ModelState at the end. After close().
        """
    @property
    def stages(self) -> dict[str, typing.Any]:
        """
        mean, max (seconds) and count of every stage that occurred.
        """
    @property
    def status(self) -> dict[str, typing.Any]:
        """
        How the device stands, by name.
        """
    @property
    def swap_seconds(self) -> list[float]:
        """
        What loading and swapping took, for the latest models.
        """
    @property
    def version(self) -> ams._core.ModelVersion:
        """
        The ModelVersion that made the latest prediction; before, the first.
        """
class DueFrame:
    """
    A frame of a VideoSource.
    """
    @property
    def capture_seconds(self) -> float:
        """
        On the video's timeline.
        """
    @property
    def due_seconds(self) -> float:
        """
        On now_seconds().
        """
    @property
    def frame(self) -> typing.Any:
        """
        uint8 [height, width, 3], RGB.
        """
    @property
    def index(self) -> int:
        """
        Of all frames, skipped ones included.
        """
class VideoSource:
    """
    The frames of a video, each when it is due. A recording plays at its own pace; of a live source the
    newest frame comes, and one that is lost is opened again.
    """
    def __init__(self, address: os.PathLike[str] | str | bytes, *, fps: typing.SupportsFloat | typing.SupportsIndex = 0.0, live: bool | None = None) -> None:
        """
        As of ams.video.VideoReader. Raises as it does.
        """
    def next(self) -> DueFrame | None:
        """
        Waits for the next DueFrame; None at the end and after stop().
        """
    def stop(self) -> None:
        """
        Ends waiting. From any thread.
        """
    @property
    def fps(self) -> float:
        """
        Frames a second.
        """
    @property
    def height(self) -> int:
        """
        Likewise.
        """
    @property
    def name(self) -> str:
        """
        Without user and password.
        """
    @property
    def times_lost(self) -> int:
        """
        Of a live source.
        """
    @property
    def width(self) -> int:
        """
        Of the first frame, pixels.
        """
class PredictionOutput:
    """
    Predictions for other programs, as ams-edge --output writes them; ams.outputs reads them.
    """
    def __init__(self, where: str, *, format: str, width: typing.SupportsInt | typing.SupportsIndex, height: typing.SupportsInt | typing.SupportsIndex) -> None:
        """
        format: 'jsonl' or 'labels'. width, height: of the label maps, pixels.
        """
    def finish(self) -> None:
        """
        Writes what waits.
        """
    def put(self, frame: typing.SupportsInt | typing.SupportsIndex, capture_seconds: typing.SupportsFloat | typing.SupportsIndex, latency_seconds: typing.SupportsFloat | typing.SupportsIndex, model_version: typing.SupportsInt | typing.SupportsIndex, labels: numpy.ndarray) -> None:
        """
        Never waits.
        """
    @property
    def closed(self) -> bool:
        """
        Whether nobody reads standard output any more.
        """
    @property
    def report(self) -> dict[str, typing.Any]:
        """
        Records by what became of them.
        """
def configure_log(level: str, format: str) -> None:
    """
    Which events go to stderr, from 'debug', 'info', 'warning' or 'error' on, as 'text' or 'json'.
    """
def flush_log() -> None:
    """
    Waits until it is written.
    """
def log(level: str, event: str, fields: collections.abc.Sequence[tuple[str, str]]) -> None:
    """
    One event; names and values of its fields.
    """
def now_seconds() -> float:
    """
    On the clock of DueFrame.due_seconds.
    """
def require_output_place(where: str) -> None:
    """
    Raises InvalidArgumentError, naming the allowed places, for another one.
    """
def require_writable(path: str) -> None:
    """
    Raises IoError unless the file can be written; makes its folder.
    """
def write_file_atomically(path: str, text: str) -> None:
    """
    A reader finds the old file or the whole new one.
    """
