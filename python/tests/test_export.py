import collections
import dataclasses
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from torch_support import SmallNet, brightness_labels, random_frame, torch, training_job

import ams
import ams.torch
from ams import export

prune = pytest.importorskip("torch.nn.utils.prune")
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


class Viewing(nn.Module):
    """Squeeze and excitation with view(), which channels-last memory does not allow."""

    def __init__(self):
        super().__init__()
        self.net = SmallNet()
        self.gate = nn.Linear(4 * 16, 4)

    def forward(self, x):
        x = self.net(x)
        g = nn.functional.adaptive_avg_pool2d(x, 4)
        return x * self.gate(g.view(g.size(0), -1)).sigmoid()[:, :, None, None]


class ViewingPairs(nn.Module):
    """Its view() of channels-last memory fails for two pictures, not for one."""

    def __init__(self):
        super().__init__()
        self.net = SmallNet()

    def forward(self, x):
        x = self.net(x)
        n, c, h, w = x.shape
        return x + x.view(n * c, h, w).mean(dim=(1, 2)).view(n, c, 1, 1)


def serves(exported):
    """What the programs do with a student: predict, train, predict again."""
    start = ams.torch.load_student_values(exported.spec)
    classes = exported.spec.num_classes
    frames = [random_frame(seed) for seed in range(6)]
    samples = [ams.torch.LabelledFrame(f, brightness_labels(f, classes)) for f in frames]
    state = ams.ModelState(start.manifest, start.values)
    _, job = training_job(
        state, samples, iterations=20, batch_size=3, strategy="full", learning_rate=1e-2
    )
    result = ams.torch.SegmentationTrainer(exported.spec).train(job)
    assert result.losses[-1] < result.losses[0]
    predictor = ams.torch.NetworkPredictor(exported.spec)
    before = predictor.predict(frames[0])
    predictor.load(result.parameters)
    assert not np.array_equal(predictor.predict(frames[0]), before)


@pytest.mark.parametrize("make", [Viewing, ViewingPairs])
def test_networks_that_view_feature_maps(tmp_path, make):
    serves(export_student(make(), tmp_path / "model.pt"))
    same_labels(export.teacher(make(), tmp_path / "teacher.pt", input_size=SIZE), make())


def parametrized(convolution):
    return nn.Sequential(convolution, nn.ReLU(), nn.Conv2d(8, 4, 1))


def pruned():
    convolution = nn.Conv2d(3, 8, 3, padding=1)
    return prune.l1_unstructured(convolution, "weight", 0.3)


PARAMETRIZED = {
    "weight_norm": lambda: nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 8, 3)),
    "spectral_norm": lambda: nn.utils.parametrizations.spectral_norm(nn.Conv2d(3, 8, 3)),
    "orthogonal": lambda: nn.utils.parametrizations.orthogonal(nn.Conv2d(3, 8, 1)),
    "older weight_norm": lambda: nn.utils.weight_norm(nn.Conv2d(3, 8, 3)),
    "older spectral_norm": lambda: nn.utils.spectral_norm(nn.Conv2d(3, 8, 3)),
    "pruned": pruned,
}


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
@pytest.mark.parametrize("name", list(PARAMETRIZED))
def test_parametrized_modules_are_traced(tmp_path, name):
    torch.manual_seed(4)
    module = parametrized(PARAMETRIZED[name]())
    module.train()
    module(torch.randn(2, 3, *SIZE)).sum().backward()  # leaves attributes with a history
    exported = export_student(module, tmp_path / "model.pt")
    assert exported.method == "trace"
    assert [t.name for t in exported.manifest.tensors] == [n for n, _ in module.named_parameters()]
    serves(exported)


def test_a_parametrized_head_is_one_head(tmp_path):
    module = SmallNet()
    nn.utils.parametrizations.weight_norm(module.head)
    exported = export_student(module, tmp_path / "model.pt")
    head = [t.name for t in exported.manifest.tensors if t.role == "head"]
    assert head == [f"head.{name}" for name, _ in module.head.named_parameters()]


def two_classes(*last):
    torch.manual_seed(6)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 1), *last
    )


def test_one_output_channel_is_the_logit_of_class_1(tmp_path):
    module = two_classes().eval()
    exported = export_student(module, tmp_path / "model.pt", num_classes=None)
    assert exported.spec.num_classes == 2 and exported.flags[-2:] == ["--classes", "2"]
    assert export_student(module, tmp_path / "model.pt", num_classes=2).spec.num_classes == 2
    serves(exported)
    frame = random_frame(1, *SIZE)
    x = torch.from_numpy(frame).permute(2, 0, 1).float()[None] / 255
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    logit = module((x - mean.view(3, 1, 1)) / deviation.view(3, 1, 1))
    labels = torch.nn.functional.interpolate(logit, SIZE, mode="bilinear") > 0
    assert 0 < labels.float().mean() < 1
    predicted = ams.torch.NetworkPredictor(exported.spec).predict(frame)
    assert np.array_equal(predicted, labels[0, 0].numpy())
    teacher = export.teacher(module, tmp_path / "teacher.pt", input_size=SIZE)
    assert teacher.num_classes == 2
    served = ams.torch.NetworkTeacher(
        teacher.path, num_classes=2, input_height=SIZE[0], input_width=SIZE[1]
    )
    assert np.array_equal(served.label(frame), (logit > 0)[0, 0].numpy())

    # The loss is that of torch: binary cross-entropy.
    truth = brightness_labels(frame, 2)
    start = ams.torch.load_student_values(exported.spec)
    sample = ams.torch.LabelledFrame(frame, truth)
    _, job = training_job(
        ams.ModelState(start.manifest, start.values), [sample], batch_size=1, iterations=1
    )
    trainer = ams.torch.SegmentationTrainer(exported.spec, class_balance=0)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(
        torch.nn.functional.interpolate(logit, SIZE, mode="bilinear")[0, 0],
        torch.from_numpy(truth).float(),
    )
    assert trainer.train(job).losses[0] == pytest.approx(expected.item(), rel=1e-4)


def test_one_class_and_probabilities_are_refused(tmp_path):
    with pytest.raises(ams.InvalidArgumentError, match="allowed are 2 to 254"):
        export_student(two_classes(), tmp_path / "model.pt", num_classes=1)
    for write in (export.student, export.teacher):
        with pytest.raises(ams.InvalidArgumentError, match=r"ends with sigmoid.*leave it out"):
            write(two_classes(nn.Sigmoid()), tmp_path / "model.pt", input_size=SIZE)
    several = nn.Sequential(SmallNet(), nn.Softmax(dim=1))
    with pytest.raises(ams.InvalidArgumentError, match="ends with softmax"):
        export_student(several, tmp_path / "model.pt")
    assert files(tmp_path) == []
    export.teacher(several, tmp_path / "model.pt", input_size=SIZE)  # its labels are the same


def compiled_in_place():
    module = SmallNet()
    module.compile()
    return module


def averaged():
    return torch.optim.swa_utils.AveragedModel(nn.DataParallel(SmallNet()))


def partly_compiled():
    module = SmallNet()
    module.stem = torch.compile(module.stem)
    module.middle[0] = nn.DataParallel(torch.compile(module.middle[0]))
    return module


@pytest.mark.parametrize(
    "wrap",
    [
        lambda: torch.compile(SmallNet()),
        lambda: nn.DataParallel(torch.compile(SmallNet())),
        compiled_in_place,
        averaged,
        partly_compiled,
    ],
)
def test_wrappers_are_taken_off(tmp_path, wrap):
    exported = export_student(wrap(), tmp_path / "model.pt")
    plain = export_student(SmallNet(), tmp_path / "plain.pt")
    assert exported.manifest.digest == plain.manifest.digest
    assert np.array_equal(
        ams.torch.load_student_values(exported.spec).values,
        ams.torch.load_student_values(plain.spec).values,
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_types_of_parameters_become_float32(tmp_path, dtype):
    module = SmallNet().to(dtype)
    exported = export_student(module, tmp_path / "model.pt")
    assert {p.dtype for p in module.parameters()} == {dtype}
    expected = torch.cat([p.detach().float().flatten() for p in module.parameters()])
    assert np.array_equal(ams.torch.load_student_values(exported.spec).values, expected.numpy())
    serves(exported)
    export.teacher(module, tmp_path / "teacher.pt", input_size=SIZE)


class ModelOutput(dict):
    """As transformers' is: a dictionary with attributes, which torch.jit does not know."""

    __getattr__ = dict.__getitem__


@dataclasses.dataclass
class Output:
    logits: torch.Tensor
    features: list


Pair = collections.namedtuple("Pair", ["out", "aux"])


@pytest.mark.parametrize(
    "give",
    [
        lambda y: {"out": y, "aux": y.mean()},
        lambda y: ModelOutput(loss=None, logits=y, hidden_states=(y, y)),
        lambda y: Output(y, [y]),
        lambda y: Pair(y, y),
        lambda y: [y, y],
        lambda y: (y, {"aux": y}, None),
    ],
)
def test_logits_are_found_in_what_a_module_gives(tmp_path, give):
    module = Untouched(lambda net, x: give(net(x)))
    serves(export_student(module, tmp_path / "model.pt"))
    export.teacher(module, tmp_path / "teacher.pt", input_size=SIZE)


class Tied(nn.Module):
    """Shared weights, whole-number and boolean buffers, no batch norm, drop-out."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.stem = nn.Conv2d(3, 3, 3, padding=1)
        self.again = nn.Conv2d(3, 3, 3, padding=1)
        self.again.weight = self.stem.weight
        self.norm = nn.Sequential(nn.InstanceNorm2d(3, affine=True), nn.Dropout(0.5))
        self.head = nn.Conv2d(3, 4, 1)
        self.register_buffer("order", torch.tensor([2, 0, 1]))
        self.register_buffer("mask", torch.tensor([True, False, True, True]))

    def forward(self, x):
        x = torch.relu(self.stem(x))[:, self.order]
        return self.head(self.norm(self.again(x))) * self.mask.view(1, -1, 1, 1)


def test_shared_weights_and_whole_number_buffers(tmp_path):
    exported = export_student(Tied(), tmp_path / "model.pt")
    names = [t.name for t in exported.manifest.tensors]
    assert names == [n for n, _ in Tied().named_parameters()]
    serves(exported)


def test_a_frozen_script_can_be_a_teacher(tmp_path):
    frozen = torch.jit.freeze(torch.jit.script(SmallNet().eval()))
    same_labels(export.teacher(frozen, tmp_path / "t.pt", input_size=SIZE), SmallNet())


def test_a_program_of_torch_export_is_taken(tmp_path):
    program = torch.export.export(SmallNet().eval(), (torch.zeros(1, 3, *SIZE),))
    for given in (program, program.module()):
        same_labels(export.teacher(given, tmp_path / "t.pt", input_size=SIZE), SmallNet())


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


def with_complex_parameter():
    module = SmallNet()
    module.extra = nn.Parameter(torch.zeros(2, dtype=torch.complex64))
    return module


ADDED = torch.library.Library("doubling", "DEF")
ADDED.define("twice(Tensor x) -> Tensor")
ADDED.impl("twice", lambda x: x * 2, "CompositeImplicitAutograd")


class Straight(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.sign()

    @staticmethod
    def backward(ctx, gradient):
        return gradient


def named(name):
    module = nn.Sequential()
    module.add_module(name, SmallNet())
    return module


def with_nan():
    module = SmallNet()
    module.head.bias.data[2] = float("nan")
    return module


REFUSED = {
    "no trainable parameters": lambda: SmallNet().requires_grad_(False),
    r"torch.complex64; trainable parameters must be\s*float32": lambda: with_complex_parameter(),
    "allowed is a torch.nn.Module$": lambda: torch.nn.functional.relu,
    r"module is a OrderedDict.*load_state_dict\(\) it": lambda: SmallNet().state_dict(),
    r"'stem.0.weight' is on the meta device.*to_empty": lambda: SmallNet().to("meta"),
    r"'1.weight' has no shape yet.*run the module once": lambda: nn.Sequential(
        nn.Conv2d(3, 3, 1), nn.LazyConv2d(4, 1)
    ),
    "the module gives NaN": lambda: with_nan(),
    "gives infinite logits": lambda: Untouched(
        lambda net, x: net(x).index_fill(1, torch.tensor([3]), float("-inf"))
    ),
    "'größe' has a name that is not ASCII": lambda: named("größe"),
    "uses the operation doubling::twice.*torch's own": lambda: Untouched(
        lambda net, x: torch.ops.doubling.twice(net(x))
    ),
    "Could not export Python function call 'Straight'": lambda: Untouched(
        lambda net, x: Straight.apply(net(x))
    ),
    r"gives a dict of 'mask', 'aux'; needed are": lambda: Untouched(
        lambda net, x: {"mask": net(x), "aux": x}
    ),
    r"maps \[2, 3, 32, 64\] to torch.float32 \[2, 5, 16, 32\]": lambda: SmallNet(classes=5),
    "the module fails on an input": lambda: nn.Conv2d(4, 4, 1),
    "the module gives a str": lambda: Untouched(lambda net, x: "labels"),
    r"to torch.float32 \[2, 4\]": lambda: Untouched(lambda net, x: net(x).mean(dim=(2, 3))),
    r"to torch.int64.*leave out argmax\(\)": lambda: Untouched(
        lambda net, x: net(x).argmax(1, keepdim=True)
    ),
    "computes something else than the module": lambda: Branching(),
    "no gradient of the module's output reaches": lambda: Untouched(lambda net, x: net(x).detach()),
    "another output each time": lambda: Untouched(lambda net, x: net(x) * torch.rand(1)),
    "neither scripted nor traced.*trace: [Cc]annot insert a Tensor that requires grad as a const":
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
    module = Untouched(lambda net, x: ModelOutput(loss=None, logits=net(x)))
    exported = export.teacher(module, tmp_path / "teacher.pt2", input_size=SIZE, num_classes=4)
    assert exported.method == "package" and files(tmp_path) == ["teacher.pt2"]
    same_labels(exported, SmallNet())
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
