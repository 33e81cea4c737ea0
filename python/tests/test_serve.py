"""ams.Server, ams.serve and ams.Device over a real network, on loopback."""

import asyncio
import itertools
import json
import logging
import os
import pydoc
import re
import signal
import ssl
import subprocess
import sys
import threading
import time
import traceback
import urllib.request
from pathlib import Path

import numpy as np
import pytest

import ams

if not all(ams.build_info()["layers"][layer] for layer in ("video", "x264", "net", "store")):
    pytest.skip("built without video, x264, net or store", allow_module_level=True)
from torch_support import SmallNet, brightness_labels, random_frame, torch  # noqa: E402

import ams.torch  # noqa: E402

BIN = Path(os.environ.get("AMS_BIN", Path(__file__).parents[2] / "build/bin"))
DEADLINE_SECONDS = 120
SIZE = (32, 64)


def quick_policy():
    return ams.FixedPolicy(
        strategy="full",
        update_interval_seconds=0.2,
        iterations=2,
        batch_size=2,
        initial_fps=10,
        max_fps=10,
        adapt_sampling_rate=False,
        trainer_share=0,
    )


def teacher(frames):
    return [brightness_labels(frame) for frame in frames]


def serve(label=teacher, student=None, **options):
    if student is None:
        student = SmallNet()
        options = {"input_size": SIZE, **options}
    return ams.Server(student, label, port=0, policy=quick_policy, **options)


def connect(server, student=None, **options):
    if student is None:
        student = SmallNet()
        options = {"input_size": SIZE, **options}
    return ams.Device(
        f"127.0.0.1:{server.port}",
        student,
        **{
            "ca": server.certificate,
            "device_id": "camera",
            "first_batch_seconds": 0.1,
            "seed": 1,
            **options,
        },
    )


FRAMES = [random_frame(seed) for seed in range(8)]


def play(until, *devices):
    """Shows frames to devices until a condition holds. Gives the latest predictions."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    for frame in itertools.cycle(FRAMES):
        predictions = [device.predict(frame) for device in devices]
        for device in devices:
            device.offer(frame)
        if until():
            return predictions
        assert time.monotonic() < deadline
        time.sleep(0.02)


def get(server, path, token="secret"):
    context = ssl.create_default_context(cafile=server.certificate)
    request = urllib.request.Request(
        f"https://127.0.0.1:{server.port}{path}", headers={"Authorization": f"Bearer {token}"}
    )
    with urllib.request.urlopen(request, context=context) as answer:
        return answer.read()


def test_a_module_adapts_and_an_operator_sees_it():
    module = SmallNet()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    with serve(student=module, input_size=SIZE, token="secret") as server:
        with connect(server, token="secret") as device:
            first = device.digest
            (labels,) = play(lambda: device.version >= 3, device)
            assert labels.shape == SIZE and labels.dtype == np.uint8
            assert device.digest != first and device.status["streaming"]
            (known,) = server.devices()
            assert known["id"] == "camera" and known["connected"]
            assert json.loads(get(server, "/api/devices"))["devices"][0]["id"] == "camera"
            for picture in ("sample", "teacher", "adapted", "no_customization"):
                jpeg = get(server, f"/api/devices/camera/{picture}.jpg")
                assert jpeg.startswith(b"\xff\xd8")
            assert b"<html" in get(server, "/") and b"ams_updates_total" in get(server, "/metrics")
            server.pause("camera")
            assert server.devices()[0]["paused"]
            server.resume("camera")
        held = device.held.version
        assert held.number == server.devices()[0]["version"]
    status = server.status()
    assert status["updates"] >= 3 and status["failures"] == 0 and status["connected"] == 0
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    with pytest.raises(ams.InvalidArgumentError, match="has stopped"):
        server.metrics()
    server.stop()


class Brightness(ams.ModuleTask):
    """Labels and predictions are numbers of Python."""

    name = "brightness"
    input_size = SIZE
    label_text = "a number"

    def check_label(self, label, frame):
        if not isinstance(label, float):
            raise ams.InvalidArgumentError(f"the teacher gave {label!r}; wanted is a number")
        return label

    def loss(self, outputs, labels):
        return ((outputs.mean((1, 2, 3)) - torch.tensor(labels)) ** 2).mean()

    def predict(self, outputs):
        return [float(mean) for mean in outputs.mean((1, 2, 3))]

    def phi(self, previous, current):
        return abs(previous[1] - current[1])

    def draw(self, frame, label):
        return np.full_like(frame, min(255, max(0, int(255 * label))))


def test_a_task_of_ones_own():
    def mean(frames):
        return [float(frame.mean() / 255) for frame in frames]

    with serve(mean, SmallNet(1), task=Brightness()) as server:
        with connect(server, SmallNet(1), task=Brightness()) as device:
            (prediction,) = play(lambda: device.version >= 2, device)
            assert isinstance(prediction, float)
            for picture in ("sample", "teacher", "adapted", "no_customization"):
                assert get(server, f"/api/devices/camera/{picture}.jpg").startswith(b"\xff\xd8")
        assert server.status()["failures"] == 0


def test_a_detector_adapts():
    from ams.detection import DetectionTask
    from ams.detection.student import CentreNet

    def boxes(frames):
        return [np.float32([[0.1, 0.2, 0.5, 0.6, k % 2, 1]]) for k in range(len(frames))]

    torch.manual_seed(1)
    student, task = CentreNet(2, width=8), DetectionTask(["person", "car"], input_size=SIZE)
    with serve(boxes, student, task=task) as server:
        with connect(server, student, task=task) as device:
            (seen,) = play(lambda: device.version >= 2, device)
            assert seen.dtype == np.float32 and seen.shape[1] == 6
            for picture in ("sample", "teacher", "adapted", "no_customization"):
                assert get(server, f"/api/devices/camera/{picture}.jpg").startswith(b"\xff\xd8")
        assert server.status()["failures"] == 0


def test_what_the_task_raises_is_a_failed_phase_with_its_traceback(caplog):
    class Broken(Brightness):
        def loss(self, outputs, labels):
            if not self.fixed.is_set():
                raise KeyError("no such loss")
            return super().loss(outputs, labels)

    task = Broken()
    task.fixed = threading.Event()
    with serve(lambda frames: [0.5] * len(frames), SmallNet(1), task=task) as server:
        with connect(server, SmallNet(1), task=Brightness()) as device:
            play(lambda: server.status()["failures"], device)
            assert device.version == 0 and "no such loss" in server.devices()[0]["last_error"]
            task.fixed.set()
            play(lambda: device.version >= 1, device)
    (record,) = [r for r in caplog.records if r.exc_info and "training of a phase" in r.message]
    assert record.exc_info[0] is KeyError


def test_a_teacher_that_raises_costs_labels_and_not_the_server(caplog):
    calls = itertools.count()

    def flaky(frames):
        if next(calls) < 3:
            raise ZeroDivisionError("out of memory")
        return teacher(frames)

    with serve(flaky) as server, connect(server) as device:
        play(lambda: server.status()["failures"], device)
        assert "ZeroDivisionError: out of memory" in server.devices()[0]["last_error"]
        play(lambda: device.version >= 1, device)
        status = server.status()
    assert status["failures"] == 3
    # The traceback comes once; every batch has its line.
    (record,) = [record for record in caplog.records if record.exc_info]
    assert record.name == "ams.serve" and "the teacher raised ZeroDivisionError" in record.message
    assert traceback.extract_tb(record.exc_info[2])[-1].name == "flaky"
    failed = [r for r in caplog.records if r.message.startswith("labelling_failed")]
    assert len(failed) == 3 and "out of memory" in failed[0].message


WRONG = {
    "float32 [32, 64]": lambda frames: np.zeros((len(frames), 32, 64), np.float32),
    "uint8 [4, 32, 64]": lambda frames: np.zeros((len(frames), 4, 32, 64), np.uint8),
    "an array [7, 9]": lambda frames: np.zeros((7, 9), np.uint8),
    "0 labels": lambda frames: [],
    "str": lambda frames: "road",
    "class ids from 0 to 300": lambda frames: np.full((len(frames), 2, 300), np.arange(300) + 1),
}


def test_a_teacher_that_gives_the_wrong_shape_is_told_the_right_one(caplog):
    given = iter([*WRONG.values()][:-1])

    def wrong(frames):
        return next(given, teacher)(frames)

    with serve(wrong) as server, connect(server) as device:
        play(lambda: device.version >= 1, device)
    failed = [r.message for r in caplog.records if r.message.startswith("labelling_failed")]
    assert len(failed) == len(WRONG) - 1
    for found, line in zip(WRONG, failed, strict=False):
        assert f"the teacher gave {found}" in line and "wanted are" in line
        assert "whole numbers [height, width]" in line
    assert not any(record.exc_info for record in caplog.records)


def test_a_hanging_teacher_holds_up_labels_alone():
    hangs, goes_on = threading.Event(), threading.Event()

    def hanging(frames):
        hangs.set()
        assert goes_on.wait(DEADLINE_SECONDS)
        return teacher(frames)

    with serve(hanging) as server, connect(server, device_id="first") as first:
        play(hangs.is_set, first)
        with connect(server, device_id="second") as second:
            play(lambda: server.status()["connected"] == 2, first, second)
            assert server.status()["samples"] == 0 and first.version == 0
            goes_on.set()
            play(lambda: first.version >= 1 and second.version >= 1, first, second)


def test_sessions_are_resumed_from_data_dir(tmp_path):
    kept = {"data_dir": tmp_path / "server"}
    state = {"state": tmp_path / "device.state"}
    with serve(**kept) as server, connect(server, **state) as device:
        play(lambda: device.version >= 2, device)
        with pytest.raises(ams.UnavailableError, match="another process"):
            serve(**kept)
    version, samples = device.held.version, server.devices()[0]["samples"]
    with serve(**kept) as server, connect(server, **state) as device:
        assert device.digest == version.digest
        play(lambda: device.version > version.number, device)
        (known,) = server.devices()
        assert known["samples"] >= samples and known["snapshots"] == 0
        assert device.counters.refusals == 0
    assert (tmp_path / "server/tls/private_key.pem").stat().st_mode & 0o077 == 0


CTRL_C = """
import sys, threading, torch, ams
def teacher(frames):
    print("labelling", flush=True)
    threading.Event().wait()
torch.manual_seed(1)
print(ams.serve(torch.nn.Conv2d(3, 4, 3), teacher, input_size=(32, 64), port=0,
                data_dir=sys.argv[1]))
"""


def test_ctrl_c_ends_it_in_order_while_the_teacher_hangs(tmp_path):
    data = tmp_path / "data"
    server = subprocess.Popen(
        [sys.executable, "-c", CTRL_C, data],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        line = server.stderr.readline()
        assert "serving on 127.0.0.1:" in line
        port = int(line.split("127.0.0.1:")[1].split(";")[0])
        torch.manual_seed(1)
        with ams.Device(
            f"127.0.0.1:{port}",
            torch.nn.Conv2d(3, 4, 3),
            input_size=SIZE,
            ca=data / "tls/certificate.pem",
            first_batch_seconds=0.1,
        ) as device:
            labelling = threading.Thread(target=server.stdout.readline)
            labelling.start()
            play(lambda: not labelling.is_alive(), device)
            server.send_signal(signal.SIGINT)
            out, errors = server.communicate(timeout=DEADLINE_SECONDS)
    finally:
        server.kill()
        server.wait()
    assert server.returncode == 0, errors
    assert "'devices': 1" in out and "served 1 devices" in errors and "left behind" in errors


def test_it_can_be_awaited():
    async def main():
        with serve() as server:
            asyncio.get_running_loop().call_later(0.01, server.stop)
            await server.wait()
            await server.wait()

    asyncio.run(main())


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from ams import export

    path = tmp_path_factory.mktemp("bundle") / "x.bundle"
    export.bundle(SmallNet(), path, input_size=SIZE)
    return path


WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None
import numpy as np, ams
with ams.Device(sys.argv[1], sys.argv[3], ca=sys.argv[2], first_batch_seconds=0.1) as device:
    frame = np.arange(48 * 64 * 3, dtype=np.uint8).reshape(48, 64, 3)
    while device.version < 2:
        labels = device.predict(frame)
        device.offer(frame)
    print(labels.shape, labels.dtype)
"""


def test_devices_of_a_bundle_need_no_torch(bundle):
    with serve(student=bundle) as server:
        link = [f"127.0.0.1:{server.port}", server.certificate, bundle]
        found = subprocess.run(
            [sys.executable, "-c", WITHOUT_TORCH, *link],
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )
    assert found.stdout.strip() == "(32, 64) uint8", found.stderr


@pytest.mark.parametrize("program", ["ams.edge", "ams-edge"])
def test_the_programs_are_served(program, bundle, tmp_path):
    command = [sys.executable, "-m", "ams.edge"] if program == "ams.edge" else [BIN / program]
    if program == "ams-edge" and not command[0].is_file():
        pytest.skip("ams-edge was not built")
    from ams.video import VideoWriter

    with VideoWriter(tmp_path / "video.mp4", width=64, height=48, fps=10) as video:
        for frame in FRAMES * 4:
            video.add(frame)
    with serve(student=bundle) as server:
        command += ["--server", f"127.0.0.1:{server.port}", "--ca", server.certificate]
        command += ["--video", tmp_path / "video.mp4", "--student", bundle]
        command += ["--first-batch-seconds", "0.1", "--report", tmp_path / "report.json"]
        command += ["--device-id", "edge"]
        ran = subprocess.run(
            list(map(str, command)),
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        assert server.devices()[0]["id"] == "edge"
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["updates"] >= 1 and report["model_version"] == server.devices()[0]["version"]


def test_a_network_of_the_library():
    spec = ams.torch.StudentSpec(network="edanet", num_classes=4, input_width=64, input_height=32)
    with serve(student=spec) as server, connect(server, spec) as device:
        (labels,) = play(lambda: device.version >= 1, device)
    assert labels.shape == SIZE


def test_a_network_of_torchvision():
    models = pytest.importorskip("torchvision_support").models
    torch.manual_seed(1)
    student = models.segmentation.lraspp_mobilenet_v3_large(
        num_classes=4, weights=None, weights_backbone=None
    )
    options = {"input_size": SIZE, "classes": ["road", "car", "sky", "tree"]}
    heads = ["classifier.*_classifier.*"]
    with serve(student=student, head=heads, **options) as server:
        with connect(server, student, **options) as device:
            (labels,) = play(lambda: device.version >= 1, device)
    assert labels.shape == SIZE


def test_another_student_is_refused(caplog):
    other = SmallNet()
    with torch.no_grad():
        other.stem[1].running_mean += 1  # no update brings it
    with serve() as server, connect(server, other, input_size=SIZE) as device:
        play(lambda: any("another student" in r.message for r in caplog.records), device)
        assert server.status()["devices"] == 0


REFUSED = {
    "the teacher is int": {"teacher": 3},
    "a function that gives a new policy": {"policy": ams.FixedPolicy()},
    "cannot read the bundle": {"student": "nowhere.bundle"},
    "the student is int": {"student": 3},
    'allowed are "segmentation"': {"task": "colours"},
    "derived from ams.ModuleTask": {"task": ams.Task()},
    r"input_size is \(2, 3\)": {"input_size": (2, 3)},
    "gives 4 classes; the task has 5": {"classes": 5},
    "wants logits": {"student": torch.nn.Flatten()},
    "port is 70000": {"port": 70000},
    "give a token": {"address": "0.0.0.0"},
    "allowed is an IPv4": {"address": "somewhere"},
    "give certificate and private_key": {"certificate": "x.pem"},
    "teacher_frames is 0": {"teacher_frames": 0},
    "has no predict": {"student": SmallNet(), "task": ams.ModuleTask()},
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_cannot_work_is_one_error_at_the_start(message):
    given = {"student": SmallNet(), "teacher": teacher, "port": 0, **REFUSED[message]}
    with pytest.raises((ams.Error, NotImplementedError), match=message):
        ams.Server(given.pop("student"), given.pop("teacher"), **given)


def test_a_function_of_cpp_cannot_be_replaced():
    class Mine(ams.SegmentationTask):
        def phi(self, previous, current):
            return 0.0

    with pytest.raises(ams.InvalidArgumentError, match=r"Mine\.phi\(\) would not be called"):
        serve(student=SmallNet(), task=Mine(4, input_size=SIZE))


def test_help_is_enough():
    text = pydoc.render_doc(ams.serve, renderer=pydoc.plaintext)
    for word in ("teacher: ", "uint8 [N, H, W, 3]", "data_dir", "Ctrl-C", "ModuleTask"):
        assert word in text


@pytest.mark.parametrize("name", ["segmentation", "detection"])
def test_the_examples(name, tmp_path):
    """At most thirty lines, two devices, of which one is killed and comes back."""
    pytest.importorskip("torchvision_support")
    pytest.importorskip("transformers")
    example = Path(__file__).parents[1] / "examples" / f"{name}.py"
    assert len(example.read_text().splitlines()) <= 30
    (tmp_path / "sitecustomize.py").write_text("import torchvision_support")
    paths = [str(tmp_path), str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    ran = subprocess.run(
        [sys.executable, example],
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
    )
    assert ran.returncode == 0, ran.stderr
    versions = dict(re.findall(r"'([ab])': (\d+)", ran.stdout))
    assert set(versions) == {"a", "b"} and min(map(int, versions.values())) >= 2
    assert "'failures': 0" in ran.stdout


@pytest.fixture(autouse=True)
def logged(caplog):
    caplog.set_level(logging.INFO, "ams.serve")
