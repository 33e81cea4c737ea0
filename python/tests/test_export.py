import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from torch_support import SmallNet, random_frame, torch

import ams
import ams.torch
from ams import export

nn = torch.nn
SIZE = (32, 64)


def export_student(module, path, **options):
    return export.student(module, path, **{"input_size": SIZE, "num_classes": 4, **options})


def files(folder):
    return sorted(p.name for p in folder.iterdir())


class Branching(nn.Module):
    """Cannot be scripted (keyword dictionary), nor traced: what it does depends on the input."""

    def __init__(self):
        super().__init__()
        self.net = SmallNet()

    def forward(self, x, **options):
        return self.net(x) * (2 if x.mean() > 0 else 1)


class TraceOnly(nn.Module):
    """torch.jit.script refuses its keyword dictionary; a trace follows it well."""

    def __init__(self):
        super().__init__()
        self.net = SmallNet()

    def forward(self, x, **options):
        return self.net(x)


def test_a_student_is_written_and_opens_as_the_programs_open_it(tmp_path):
    module = SmallNet()
    module.train()
    rng = torch.get_rng_state()
    exported = export_student(module, tmp_path / "model.pt")
    assert files(tmp_path) == ["model.pt"]
    assert exported.method == "script" and exported.path == tmp_path / "model.pt"
    assert exported.flags == [
        "--student", str(tmp_path / "model.pt"), "--input", "64x32", "--classes", "4"
    ]  # fmt: skip
    assert module.training and torch.equal(torch.get_rng_state(), rng)
    start = ams.torch.load_student_values(exported.spec)
    assert start.fingerprint == exported.fingerprint
    own = torch.cat([p.detach().flatten() for p in module.parameters()])
    assert np.array_equal(start.values, own.numpy())
    reloaded = ams.torch.open_network(exported.path).eval()
    x = torch.randn(3, 3, *SIZE)
    assert torch.allclose(reloaded(x), module.eval()(x), atol=1e-5)
    labels = ams.torch.NetworkPredictor(exported.spec).predict(random_frame(1))
    assert labels.shape == SIZE


def test_a_student_that_was_trained_exports_what_it_learnt(tmp_path):
    module = SmallNet().eval()
    optimizer = ams.torch.GradientGuidedAdam(module, lr=0.1, gamma=0.5)
    optimizer.begin_phase()
    module(torch.randn(2, 3, *SIZE)).square().sum().backward()
    optimizer.step()
    exported = export_student(module, tmp_path / "a.pt", num_classes=None)
    start = ams.torch.load_student_values(exported.spec)
    assert np.array_equal(start.values, optimizer.vector.copy())
    assert exported.spec.num_classes == 4
    offset = optimizer.vector.manifest.tensors[-1].offset
    assert module.head.bias.data_ptr() == optimizer.vector.values[offset:].data_ptr()


def test_it_replaces_an_older_file_whole_or_not_at_all(tmp_path):
    path = tmp_path / "model.pt"
    path.write_bytes(b"older")
    with pytest.raises(ams.InvalidArgumentError):
        export_student(Branching(), path)
    assert path.read_bytes() == b"older" and files(tmp_path) == ["model.pt"]
    export_student(SmallNet(), path)
    assert path.stat().st_size > 1000 and files(tmp_path) == ["model.pt"]
    with pytest.raises(ams.IoError, match="no folder"):
        export_student(SmallNet(), tmp_path / "nowhere" / "model.pt")
    (tmp_path / "folder.pt").mkdir()
    with pytest.raises(ams.IoError):
        export_student(SmallNet(), tmp_path / "folder.pt")
    assert files(tmp_path) == ["folder.pt", "model.pt"]


def test_modules_that_can_only_be_traced(tmp_path):
    exported = export_student(TraceOnly(), tmp_path / "model.pt")
    assert exported.method == "trace"
    x = torch.randn(5, 3, *SIZE)
    assert torch.allclose(
        ams.torch.open_network(exported.path)(x), TraceOnly().eval()(x), atol=1e-5
    )


def test_torchscript_modules_and_partly_frozen_ones(tmp_path):
    module = SmallNet()
    module.stem.requires_grad_(False)
    exported = export_student(torch.jit.script(module), tmp_path / "model.pt")
    names = [t.name for t in exported.manifest.tensors]
    assert names == [n for n, p in module.named_parameters() if p.requires_grad]


class Untouched(nn.Module):
    def __init__(self, forward):
        super().__init__()
        self.net = SmallNet()
        self._forward = forward

    def forward(self, x):
        return self._forward(self.net, x)


def hidden_constant(net, x):
    return CONSTANT(x)


CONSTANT = SmallNet()

REFUSED = {
    "no trainable parameters": lambda: SmallNet().requires_grad_(False),
    r"torch.float64; trainable parameters must be\s*float32": lambda: SmallNet().double(),
    "allowed is a torch.nn.Module": lambda: torch.nn.functional.relu,
    r"maps \[2, 3, 32, 64\] to torch.float32 \[2, 5, 16, 32\]": lambda: SmallNet(classes=5),
    "the module fails on an input": lambda: nn.Conv2d(4, 4, 1),
    "the module gives a str": lambda: Untouched(lambda net, x: "labels"),
    r"to torch.float32 \[2, 4\]": lambda: Untouched(lambda net, x: net(x).mean(dim=(2, 3))),
    "to torch.int64": lambda: Untouched(lambda net, x: net(x).argmax(1, keepdim=True).long()),
    "computes something else than the module": lambda: Branching(),
    "no gradient of the module's output reaches": lambda: Untouched(lambda net, x: net(x).detach()),
    "another output each time": lambda: Untouched(lambda net, x: net(x) * torch.rand(1)),
    r"neither scripted nor traced.*[Cc]annot insert a Tensor that requires grad as a constant":
        lambda: Untouched(lambda net, x: net(x) + hidden_constant(net, x)),
    r"computes something else than the module on an input \[2": lambda: Untouched(
        lambda net, x: net(x) * len([row for row in x])
    ),
}  # fmt: skip


@pytest.mark.parametrize("reason", list(REFUSED))
def test_what_cannot_be_trained_or_served_is_refused_with_the_reason(tmp_path, reason):
    with pytest.raises(ams.InvalidArgumentError, match=f"(?s){reason}"):
        export_student(REFUSED[reason](), tmp_path / "model.pt")
    assert files(tmp_path) == []


def test_a_module_that_cannot_be_copied(tmp_path):
    module = SmallNet()
    module.lock = threading.Lock()
    with pytest.raises(ams.InvalidArgumentError, match="cannot be copied"):
        export_student(module, tmp_path / "model.pt")


def test_arguments_are_checked_first(tmp_path):
    for path, options in (
        ("model.pth", {}),
        ("model.pt2", {}),
        ("model.pt", {"input_size": 64}),
        ("model.pt", {"input_size": (16, 64)}),
        ("model.pt", {"num_classes": 0}),
        ("model.pt", {"num_classes": 300}),
    ):
        with pytest.raises(ams.InvalidArgumentError):
            export_student(SmallNet(), tmp_path / path, **options)
    assert files(tmp_path) == []


def same_labels(exported, module):
    """The file labels as the module does, frame by frame."""
    teacher = ams.torch.NetworkTeacher(
        exported.path,
        num_classes=exported.num_classes,
        input_height=exported.input_size[0],
        input_width=exported.input_size[1],
    )
    for seed in range(3):
        frame = random_frame(seed, *exported.input_size)
        labels = teacher.label(frame)
        x = torch.from_numpy(frame).permute(2, 0, 1).float()[None] / 255
        mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
        with torch.no_grad():
            logits = module.eval()((x - mean.view(3, 1, 1)) / deviation.view(3, 1, 1))
        assert np.mean(labels == logits[0].argmax(0).numpy()) > 0.99


def test_a_teacher_as_torchscript(tmp_path):
    module = SmallNet().requires_grad_(False)
    exported = export.teacher(module, tmp_path / "teacher.pt", input_size=SIZE)
    assert exported.method == "script" and exported.num_classes == 4
    assert exported.flags[:2] == ["--teacher", str(tmp_path / "teacher.pt")]
    assert exported.flags[2:] == ["--teacher-input", "64x32", "--teacher-classes", "4"]
    same_labels(exported, module)


compiles_packages = pytest.mark.skipif(
    shutil.which("g++") is None, reason="AOTInductor needs a C++ compiler"
)


@compiles_packages
def test_a_teacher_as_a_package(tmp_path, monkeypatch):
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    monkeypatch.setenv("TRITON_CACHE_DIR", "the caller's")
    module = SmallNet()
    exported = export.teacher(module, tmp_path / "teacher.pt2", input_size=SIZE, num_classes=4)
    assert exported.method == "package" and files(tmp_path) == ["teacher.pt2"]
    same_labels(exported, module)
    assert all(p.requires_grad for p in module.parameters())
    assert "TORCHINDUCTOR_CACHE_DIR" not in os.environ
    assert os.environ["TRITON_CACHE_DIR"] == "the caller's"


EXPORT_A_TEACHER = """
import sys
from torch_support import SmallNet
from ams import export
print("ready", flush=True)
sys.stdin.readline()
export.teacher(SmallNet(), sys.argv[1], input_size=(32, 64), num_classes=4)
"""


@compiles_packages
def test_two_processes_export_one_network_at_once(tmp_path):
    """From an empty cache. Torch's compiler must not write to a folder that the two share."""
    packages = tmp_path / "packages"
    shared = {name: tmp_path / name for name in ("TMPDIR", "TORCHINDUCTOR_CACHE_DIR")}
    for folder in (packages, *shared.values()):
        folder.mkdir()
    search = os.pathsep.join([str(Path(__file__).parent), *(p for p in sys.path if p)])
    paths = [packages / f"{name}.pt2" for name in ("a", "b")]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", EXPORT_A_TEACHER, path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **{k: str(v) for k, v in shared.items()}, "PYTHONPATH": search},
        )
        for path in paths
    ]
    try:
        for process in processes:
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        assert [process.wait(timeout=600) for process in processes] == [0, 0]
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    assert files(packages) == ["a.pt2", "b.pt2"]
    for path in paths:
        same_labels(export.ExportedTeacher(path, 4, SIZE, "package"), SmallNet())
    assert {name: files(folder) for name, folder in shared.items()} == dict.fromkeys(shared, [])


def test_teachers_that_cannot_serve(tmp_path):
    for module, path, options in (
        (SmallNet(), "t.onnx", {}),
        (SmallNet(), "t.pt", {"num_classes": 5}),
        (SmallNet(), "t.pt", {"input_size": (8, 8)}),
        (Branching(), "t.pt", {}),
        (Branching(), "t.pt2", {}),
        (nn.Conv2d(4, 4, 1), "t.pt", {}),
    ):
        with pytest.raises(ams.InvalidArgumentError):
            export.teacher(module, tmp_path / path, **{"input_size": SIZE, **options})
    assert files(tmp_path) == []
