"""The command: python -m ams.edge."""

from __future__ import annotations

import argparse
import signal
import socket
import threading
from collections.abc import Callable, Sequence

from .. import __version__, _edge
from .._token_file import read_token
from ..errors import Error, InvalidArgumentError
from .device import Device, parse_server
from .play import Played, play
from .report import StatusLine, standard_stream, write_report

_GOODBYE_SECONDS, _HASTY_GOODBYE_SECONDS = 10.0, 2.0  # at the video's end, and after a signal


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit codes: 0 the video has ended or a signal came, 1 failed, 2 wrong arguments."""
    flags = _parser().parse_args(arguments)
    try:
        _edge.configure_log(flags.log_level, flags.log_format)
        _run(flags)
    except Error as error:
        _edge.log("error", error.code, [("message", str(error))])
        return 1
    finally:
        _edge.flush_log()
    return 0


def _run(flags: argparse.Namespace) -> None:
    _check(flags)
    token = read_token(flags.token, flags.token_file)
    for path in (flags.report, flags.state):
        if path:
            _edge.require_writable(path)
    device = Device(
        flags.student,
        server=flags.server,
        ca=flags.ca,
        token=token,
        device_id=flags.device_id,
        state=flags.state,
        threads=flags.threads,
        execution_provider=flags.execution_provider,
        uplink_kbps=flags.uplink_kbps,
        uplink_size=flags.uplink_size,
        first_batch_seconds=flags.first_batch_seconds,
        insecure_accept_any_host_name=flags.insecure_accept_any_host_name,
        seed=flags.seed,
    )
    live = {"auto": None, "yes": True, "no": False}[flags.live]
    video = _edge.VideoSource(flags.video, fps=flags.fps, live=live)
    output = None
    if flags.output:
        output = _edge.PredictionOutput(
            flags.output,
            format=_output_format(flags),
            width=device.bundle.input_width,
            height=device.bundle.input_height,
        )
    status = StatusLine(device, flags.status, standard_stream(flags.output in ("-", "/dev/stdout")))
    played = Played()

    def loop() -> None:
        device.start()
        play(
            device,
            video,
            played=played,
            output=output,
            on_frame=status.show,
            max_lag_seconds=flags.max_lag_seconds,
            stop_after_seconds=flags.stop_after_seconds,
        )

    failure, stopped = _run_until_signal(loop, video.stop)
    # Whatever went wrong, what the server has sent is taken over and every file is written.
    reason = "end of the video"
    if failure is not None:
        reason = "the video cannot be read on"
    elif stopped:
        reason = "stopped by a signal"
    elif output is not None and output.closed:
        reason = "nobody reads standard output any more"
    device.close(reason, _HASTY_GOODBYE_SECONDS if stopped else _GOODBYE_SECONDS)
    if output is not None:
        output.finish()
    status.show(played, last=True)
    if flags.report:
        write_report(flags.report, device, video, played, output, str(failure or ""))
    if failure is not None:
        raise failure


def _run_until_signal(
    loop: Callable[[], None], stop: Callable[[], None]
) -> tuple[BaseException | None, bool]:
    """What the loop raised, and whether a signal has ended it. The first SIGINT, SIGTERM or SIGHUP
    calls `stop`, the second one ends the program. Python gives signals to this thread alone, so
    the loop, which waits for frames in C++, has another one."""
    failures: list[BaseException] = []
    stopped = threading.Event()

    def run() -> None:
        try:
            loop()
        except BaseException as error:
            failures.append(error)

    def on_signal(number: int, _frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        stopped.set()
        stop()

    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as it is under nohup
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, on_signal) for number in numbers}
    thread = threading.Thread(target=run, name="ams.edge")
    try:
        thread.start()
        thread.join()
    finally:
        for number, handler in before.items():
            if not stopped.is_set():
                signal.signal(number, handler)
    return (failures[0] if failures else None), stopped.is_set()


# ---- Flags


_EXAMPLE = """\
example:
  python -m ams.edge --server 192.168.1.20:8443 --ca certificate.pem --token-file token \\
      --student street.bundle --video camera:0 --state device.state

The server runs the same bundle: ams-server --student street.bundle ... Bundles are written by
ams.export.bundle in Python, or by python -m ams.export bundle. ams-edge has the same flags, and
more.
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ams.edge",
        description="A device without torch: segments every frame of a video with its student in "
        "ONNX Runtime at the video's own rate, sends samples to an ams-server, and takes over the "
        "updates that come back without missing a frame.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    video = parser.add_argument_group("video")
    video.add_argument(
        "--video",
        required=True,
        help="file; folder or pattern of pictures (f%%03d.png); camera:0; rtsp://, http://, "
        "rtmp://, udp://, tcp:// or srt:// address; FIFO, or - for standard input. A live source "
        "that is lost is opened again",
    )
    video.add_argument(
        "--fps", type=float, default=0, help="frames a second of pictures and of raw streams"
    )
    video.add_argument(
        "--live",
        choices=("auto", "yes", "no"),
        default="auto",
        help="whether an address or pipe is a live source; auto: it is unless it tells its "
        "duration or size",
    )
    video.add_argument(
        "--stop-after-seconds", type=_positive, help="end here, on the video's timeline"
    )
    video.add_argument(
        "--max-lag-seconds",
        type=_not_negative,
        default=1.0,
        help="a frame that is later than this is dropped, and counted; of a live source only the "
        "newest frame is ever waiting (default: 1)",
    )
    network = parser.add_argument_group("network")
    network.add_argument(
        "--server", default="127.0.0.1:8443", help="HOST:PORT of ams-server (default: %(default)s)"
    )
    network.add_argument(
        "--ca", default="", help="PEM file with the certificate to trust (default: the system's)"
    )
    network.add_argument(
        "--insecure-accept-any-host-name",
        action="store_true",
        help="accept a trusted certificate of another host",
    )
    network.add_argument(
        "--token", default="", help="secret that the server wants (visible in process lists)"
    )
    network.add_argument("--token-file", default="", help="file whose first line is that secret")
    network.add_argument(
        "--device-id",
        default=socket.gethostname() or "device",
        help="names this device's session; no two devices of a server may share it (default: the "
        "host's name)",
    )
    network.add_argument(
        "--uplink-kbps",
        type=_positive,
        default=100.0,
        help="target of the sampled frames' bitrate (default: 100)",
    )
    network.add_argument(
        "--uplink-size",
        type=_size,
        default=(1024, 512),
        metavar="WIDTHxHEIGHT",
        help="largest size of sampled frames (default: 1024x512)",
    )
    network.add_argument(
        "--first-batch-seconds",
        type=_not_negative,
        help="the first samples leave so soon; later ones every T_update",
    )
    student = parser.add_argument_group("student")
    student.add_argument("--student", required=True, metavar="X.bundle", help="student bundle")
    student.add_argument(
        "--threads", type=int, default=1, help="compute threads of the student (default: 1)"
    )
    student.add_argument(
        "--execution-provider",
        default="CPU",
        metavar="NAME",
        help="what computes, e.g. CPU, CUDA, TensorRT, CoreML or XNNPACK, where this ONNX Runtime "
        "has it (default: CPU)",
    )
    student.add_argument(
        "--state",
        default="",
        help="keep the adapted student here, to resume after a restart: a file that is not there "
        "yet, or that this student has left",
    )
    student.add_argument(
        "--seed",
        type=int,
        default=1,
        help="of the jitter between reconnections, mixed with the device's id",
    )
    results = parser.add_argument_group("results")
    results.add_argument(
        "--output",
        default="",
        metavar="WHERE",
        help="write every prediction for other programs: to a file or FIFO, - (standard output), "
        "unix:PATH (a local socket: readers connect), tcp:HOST:PORT (the same, unprotected) or "
        "shm:NAME (shared memory: the newest)",
    )
    results.add_argument(
        "--output-format",
        choices=("jsonl", "labels"),
        help="jsonl (a JSON line with the share of each class; default) or labels (the label map "
        "behind a header; default for shm:)",
    )
    results.add_argument("--report", default="", help="JSON report at the end")
    results.add_argument(
        "--status",
        choices=("auto", "line", "none"),
        default="auto",
        help="auto (one line, rewritten), line (a line every 5 s), none",
    )
    parser.add_argument(
        "--log-level", choices=("debug", "info", "warning", "error"), default="info"
    )
    parser.add_argument(
        "--log-format",
        choices=("text", "json"),
        default="text",
        help="text (for people) or json (one object a line)",
    )
    parser.add_argument("--version", action="version", version=__version__)
    return parser


def _check(flags: argparse.Namespace) -> None:
    """What can be seen before anything is opened."""
    parse_server(flags.server)
    if flags.output_format and not flags.output:
        raise InvalidArgumentError("--output-format wants --output")
    if flags.output:
        _edge.require_output_place(flags.output)
    if _output_format(flags) == "jsonl" and flags.output.startswith("shm:"):
        raise InvalidArgumentError(
            "--output shm: holds label maps: leave --output-format out, or give labels"
        )


def _output_format(flags: argparse.Namespace) -> str:
    return flags.output_format or ("labels" if flags.output.startswith("shm:") else "jsonl")


def _positive(text: str) -> float:
    value = _not_negative(text)
    if value == 0:
        raise argparse.ArgumentTypeError("0 is not above 0")
    return value


def _not_negative(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"'{text}' is no number from 0")
    return value


def _size(text: str) -> tuple[int, int]:
    width, cross, height = text.partition("x")
    if not (cross and width.isdecimal() and height.isdecimal()):
        raise argparse.ArgumentTypeError(f"'{text}' is not WIDTHxHEIGHT, e.g. 1024x512")
    return int(width), int(height)
