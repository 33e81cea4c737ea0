"""ams.edge: the device without torch, against a real ams-server on loopback."""

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

import ams

if not all(ams.build_info()["layers"][layer] for layer in ("video", "x264", "net")):
    pytest.skip("built without video, x264 or net", allow_module_level=True)
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from torch_support import SmallNet, torch  # noqa: E402

import ams.bundle  # noqa: E402
import ams.edge  # noqa: E402
import ams.outputs  # noqa: E402
import ams.synthetic  # noqa: E402
import ams.video  # noqa: E402
from ams import export  # noqa: E402

BIN = Path(os.environ.get("AMS_BIN", Path(__file__).parents[2] / "build/bin"))
FPS, SECONDS = 10, 12
NOBODY = 9  # a port with no server: a device plays all the same
# Importing torch fails in the device, as where it is not installed.
DEVICE = (
    "import sys; sys.modules['torch'] = None; import ams.edge.cli; sys.exit(ams.edge.cli.main())"
)
DEADLINE_SECONDS = 120


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A clip, a student bundle of 64 x 32 and a token."""
    folder = tmp_path_factory.mktemp("edge")
    street = ams.synthetic.Street(seed=7, width=128, height=64, seconds=SECONDS, fps=FPS)
    names = ams.synthetic.street_class_names()
    info = ams.video.ClipInfo(
        classes=names, eval_classes=ams.synthetic.street_eval_classes(), name="street", fps=FPS
    )
    with ams.video.ClipWriter(folder / "clip", info, preset="veryfast") as clip:
        for index in range(FPS * SECONDS):
            clip.add(*street.render(index))
    torch.manual_seed(1)
    export.bundle(
        SmallNet(19),
        folder / "x.bundle",
        input_size=(32, 64),
        class_names=names,
        selected_classes=info.eval_classes,
    )
    with zipfile.ZipFile(folder / "x.bundle") as archive:
        archive.extract("network.pt", folder)
    (folder / "token").write_text("correct horse\n")
    return folder


def wait_until(condition, what, *processes):
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited until {what}"
        assert all(process.poll() is None for process in processes), f"ended before {what}"
        time.sleep(0.02)


@pytest.fixture
def server(folder, tmp_path):
    """A server of the bundle; its report is in tmp_path when stop() has been called."""
    if not (BIN / "ams-server").is_file():
        pytest.skip("ams-server was not built")
    tls, port = tmp_path / "tls", tmp_path / "port"
    subprocess.run(
        [BIN / "ams-server", "--generate-certificate", tls], check=True, capture_output=True
    )
    command = [BIN / "ams-server", "--port", "0", "--port-file", port, "--data-dir", "none"]
    command += ["--certificate", tls / "certificate.pem", "--private-key", tls / "private_key.pem"]
    command += ["--token-file", folder / "token", "--teacher", f"clip:{folder / 'clip'}"]
    command += ["--student", folder / "network.pt", "--input", "64x32", "--classes", "19"]
    command += ["--iterations", "2", "--batch-size", "2", "--update-interval-seconds", "1"]
    command += ["--threads", "1", "--report", tmp_path / "server.json"]
    with (tmp_path / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stderr=log, stdout=log)
    try:
        wait_until(lambda: port.is_file() and port.read_text().strip(), "it listens", process)

        def stop():
            process.send_signal(signal.SIGTERM)
            assert process.wait(DEADLINE_SECONDS) == 0, (tmp_path / "server.log").read_text()
            return json.loads((tmp_path / "server.json").read_text())

        yield {"port": int(port.read_text()), "ca": tls / "certificate.pem", "stop": stop}
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def start(folder, tmp_path):
    """Starts the command; every process is ended after the test."""
    processes = []

    def start(*flags, port=NOBODY, ca=None, video=None, student=None, name="edge"):
        command = [sys.executable, "-c", DEVICE, "--server", f"127.0.0.1:{port}"]
        command += ["--ca", ca or "", "--token-file", folder / "token", "--device-id", "camera"]
        command += ["--video", video or folder / "clip" / "video.mp4"]
        command += ["--student", student or folder / "x.bundle", "--first-batch-seconds", "0.5"]
        command += ["--report", tmp_path / f"{name}.json", "--log-format", "json", *flags]
        with (tmp_path / f"{name}.log").open("wb") as log:
            processes.append(subprocess.Popen(list(map(str, command)), stdout=log, stderr=log))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.wait()


def log_of(tmp_path, name="edge"):
    return (tmp_path / f"{name}.log").read_text()


def report_of(tmp_path, name="edge"):
    return json.loads((tmp_path / f"{name}.json").read_text())


def test_a_stream_from_the_first_frame_to_the_last(folder, tmp_path, server, start):
    edge = start(
        "--output",
        tmp_path / "seen.jsonl",
        "--status",
        "line",
        port=server["port"],
        ca=server["ca"],
    )
    assert edge.wait(DEADLINE_SECONDS) == 0, log_of(tmp_path)
    (session,) = server["stop"]()["sessions"]
    report = report_of(tmp_path)
    assert report["updates"] >= 1 and report["model_version"] >= 1
    assert report["digest"] == session["digest"]
    assert report["frames"] == FPS * SECONDS
    assert report["refusals"] == report["batches_refused"] == 0
    assert report["swap_ms"]["p50"] > 0 and "apply" in report["stage_seconds"]
    seen = list(ams.outputs.predictions(tmp_path / "seen.jsonl"))
    assert len(seen) == report["frames"] - report["frames_dropped"] == report["output"]["written"]
    assert seen[-1].model_version >= 1 and (seen[-1].width, seen[-1].height) == (64, 32)
    assert "ms/frame" in log_of(tmp_path)


def test_it_resumes_after_kill_9(tmp_path, server, start):
    flags = ["--state", tmp_path / "device.state"]
    link = {"port": server["port"], "ca": server["ca"]}
    edge = start(*flags, **link)
    wait_until((tmp_path / "device.state").is_file, "the first update is kept", edge)
    edge.kill()
    edge.wait()
    edge = start(*flags, name="again", **link)
    assert edge.wait(DEADLINE_SECONDS) == 0, log_of(tmp_path, "again")
    assert '"event":"resuming"' in log_of(tmp_path, "again").replace(" ", "")
    report = report_of(tmp_path, "again")
    (session,) = server["stop"]()["sessions"]
    assert report["digest"] == session["digest"] and report["refusals"] == 0
    assert report["model_version"] > 1 or report["updates"] == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_in_order(number, folder, tmp_path, start):
    edge = start("--output", tmp_path / "seen.jsonl")
    seen = tmp_path / "seen.jsonl"
    wait_until(lambda: seen.is_file() and seen.stat().st_size, "the first frame is seen", edge)
    edge.send_signal(number)
    assert edge.wait(DEADLINE_SECONDS) == 0, log_of(tmp_path)
    report = report_of(tmp_path)
    assert 1 <= report["frames"] < FPS * SECONDS and report["connections"] == 0
    assert report["model_version"] == 0 and "error" not in report


REFUSED = {
    "cannot read the bundle": {"student": "nowhere.bundle"},
    "no student bundle": {"student": __file__},
    "nowhere.mp4": {"video": "nowhere.mp4"},
    "is not HOST:PORT": {"flags": ["--server", "localhost"]},
    "execution_provider is 'abacus'": {"flags": ["--execution-provider", "abacus"]},
    "is not a saved state": {"flags": ["--state", __file__]},
    "--output-format wants --output": {"flags": ["--output-format", "labels"]},
    "give --token or --token-file": {"flags": ["--token", "secret"]},
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_cannot_work_is_one_error_at_the_start(message, folder, tmp_path, capfd, start):
    given = {**REFUSED[message]}
    edge = start(*given.pop("flags", []), **given)
    assert edge.wait(DEADLINE_SECONDS) == 1
    errors = [line for line in log_of(tmp_path).splitlines() if '"error"' in line]
    assert len(errors) == 1 and message in errors[0].replace("\\u0027", "'"), log_of(tmp_path)


def test_a_device_of_ones_own_frames(folder):
    frames = ams.synthetic.Street(seed=3, width=128, height=64, seconds=2)
    with ams.edge.Device(folder / "x.bundle", server=f"localhost:{NOBODY}") as device:
        frame, _ = frames.render(0)
        labels = device.predict(frame)
        device.offer(0.0, frame)
        assert labels.shape == (32, 64) and labels.dtype == np.uint8
        assert device.model_version == 0 and not device.status["streaming"]
        with pytest.raises(ams.InvalidArgumentError, match="uint8"):
            device.predict(frame.astype(np.float32))
        with pytest.raises(ams.InvalidArgumentError, match="after close"):
            _ = device.held
    assert device.held.version.number == 0
    device.close()
    known = ams.edge.OnnxPredictor(folder / "x.bundle").predict(frame)
    np.testing.assert_array_equal(labels, known)


def test_help_teaches(capsys):
    from ams.edge.cli import main

    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    text = capsys.readouterr().out
    assert "--student street.bundle" in text and "python -m ams.export bundle" in text
