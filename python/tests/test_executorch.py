"""Bundles with a program for ExecuTorch. Its runtime for Python stands for the one of devices."""

import json
import logging
import zipfile

import numpy as np
import pytest
from test_bundle import SIZE, STUDENTS, one_thread, updated, write  # noqa: F401
from torch_support import SmallNet, random_frame, torch

import ams
from ams import bundle as bundles
from ams.export.__main__ import main as command
from ams.export.executorch_program import make_program
from ams.export.onnx_graph import LabelNetwork
from ams.onnx_predictor import OnnxPredictor
from ams.torch import StudentSpec

pytest.importorskip("executorch.exir")
from executorch.runtime import Runtime  # noqa: E402

USES = ("source", "scale", "shift", "mean", "variance")


@pytest.fixture(autouse=True)
def no_trace(monkeypatch):
    """pytest takes torch's trace of what it compiles for a log, and writes all of it."""
    monkeypatch.setattr(logging.getLogger("torch.__trace"), "handlers", [])


class WithoutStatistics(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 1)
        self.norm = torch.nn.BatchNorm2d(4, track_running_stats=False)

    def forward(self, x):
        return self.norm(self.conv(x))


class Unused(SmallNet):
    """One of its tensors does nothing."""

    def __init__(self):
        super().__init__()
        self.other = torch.nn.Parameter(torch.ones(4))

    def forward(self, x):
        return super().forward(x)


class Data(torch.nn.Module):
    """What it does depends on the picture."""

    def __init__(self):
        super().__init__()
        self.net = SmallNet()

    def forward(self, x):
        y = self.net(x)
        if bool(x.mean() > 0):
            y = -y
        return y


def tensors_of(path):
    """The program, and its tensors and constants as a device reads them."""
    with zipfile.ZipFile(path) as archive:
        described = json.loads(archive.read("bundle.json"))["executorch"]
        assert described["file"] == "network.pte"
        contents = archive.read("network.pte")
        frozen, place = {}, 0
        for tensor in described["frozen"]:
            size = int(np.prod(tensor["shape"]))
            values = np.frombuffer(archive.read("frozen.bin"), "<f4", size, place)
            frozen[tensor["name"]] = values.reshape(tensor["shape"])
            place += 4 * size
    return contents, frozen, described["constants"]


def run(path, bundle, values, frame):
    """What a device with these values says, by what the file alone says."""
    contents, tensors, constants = tensors_of(path)
    contents = bytearray(contents)
    for tensor in bundle.manifest.tensors:
        part = values[tensor.offset : tensor.offset + tensor.size]
        tensors[tensor.name] = part.reshape(tensor.shape)
    for constant in constants:
        part = {use: tensors[constant[use]] for use in USES if use in constant}
        value = part.get("source", np.float32(0))
        if constant["kind"] != "copy":
            deviation = np.sqrt(part["variance"] + np.float32(constant["epsilon"]))
            scale = part.get("scale", np.float32(1)) / deviation
            if constant["kind"] == "scale":
                value = scale
            elif constant["kind"] == "weight":
                value = (value.T * scale).T
            else:
                value = part.get("shift", np.float32(0)) + (value - part["mean"]) * scale
        value = value.transpose(constant.get("order", range(value.ndim)))
        stored = value.astype("<f4").tobytes()
        contents[constant["offset"] : constant["offset"] + len(stored)] = stored
    program = Runtime.get().load_program(bytes(contents))
    return program.load_method("forward").execute([torch.from_numpy(frame)[None]])[0][0].numpy()


@pytest.mark.parametrize("name", ["many kinds of layers", "a scripted module", "statistics"])
def test_a_device_on_executorch_has_the_student_too(name, tmp_path):
    make, options = STUDENTS[name]
    torch.manual_seed(1)
    exported = write(make(), tmp_path / "x.bundle", executorch=True, **options)
    assert exported.checked_with == ("libtorch", "onnxruntime", "executorch")
    bundle = bundles.read(exported.path)
    frame = random_frame(6, *SIZE)
    for values in (bundle.values, updated(bundle.values)):
        onnx = OnnxPredictor(bundle)
        onnx.load(values)
        labels = run(exported.path, bundle, values, frame)
        assert labels.dtype == np.uint8 and labels.shape == SIZE
        assert np.mean(labels != onnx.predict(frame)) < 0.005


def test_the_same_student_gives_the_same_file(tmp_path):
    torch.manual_seed(2)
    module = SmallNet()
    for name in ("a.bundle", "b.bundle"):
        write(module, tmp_path / name, executorch=True)
    assert (tmp_path / "a.bundle").read_bytes() == (tmp_path / "b.bundle").read_bytes()


def test_the_command_writes_the_program(tmp_path):
    path = tmp_path / "x.bundle"
    flags = ["--student", "edanet", "--classes", "3", "--input", "64x32", "--executorch"]
    assert command(["bundle", *flags, str(path)]) == 0
    bundle = bundles.read(path)
    _, _, constants = tensors_of(path)
    names = {tensor.name for tensor in bundle.manifest.tensors}
    assert names <= {constant[use] for constant in constants for use in USES if use in constant}
    assert run(path, bundle, updated(bundle.values), random_frame(6, *SIZE)).shape == SIZE


REFUSED = {
    "a batch norm without moving statistics": (WithoutStatistics, False),
    "does not depend on 'other', so no update could reach it": (Unused, False),
    "ExecuTorch cannot express the network: .*data-dependent": (Data, True),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_an_update_could_not_reach_is_refused(message):
    make, scripted = REFUSED[message]
    module = torch.jit.script(make()) if scripted else make()
    spec = StudentSpec(num_classes=4, input_width=SIZE[1], input_height=SIZE[0])
    network = LabelNetwork(module.eval(), spec).eval()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    with pytest.raises(ams.InvalidArgumentError, match=message):
        make_program(network, list(module.named_parameters()))
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
