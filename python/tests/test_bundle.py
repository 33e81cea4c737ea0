import io
import json
import sys
import zipfile

import numpy as np
import pytest
from torch_support import SmallNet, random_frame, torch

import ams
import ams.torch
from ams import bundle as bundles
from ams import export
from ams.export.__main__ import main as command

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from ams.onnx_predictor import OnnxPredictor, execution_providers  # noqa: E402

nn = torch.nn
SIZE = (32, 64)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """The networks are too small for more."""
    before = torch.get_num_threads(), ams.torch.compute_threads()
    torch.set_num_threads(1)
    ams.torch.set_compute_threads(1)
    yield
    torch.set_num_threads(before[0])
    ams.torch.set_compute_threads(before[1])


class Mixed(nn.Module):
    """Layers whose tensors an exporter likes to transpose, fold or split."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.group = nn.GroupNorm(2, 8)
        self.batch = nn.BatchNorm2d(8)
        self.vector = nn.Linear(8, 8)
        self.pixels = nn.Linear(8, 8, bias=False)
        self.layer = nn.LayerNorm(8)
        self.act = nn.PReLU()
        self.up = nn.ConvTranspose2d(8, 8, 2, stride=2)
        self.head = nn.utils.parametrizations.weight_norm(nn.Conv2d(8, 4, 1))

    def forward(self, x):
        x = self.batch(self.group(self.first(x)))
        x = x + self.vector(x.mean((2, 3)))[:, :, None, None]
        x = self.act(self.layer(self.pixels(x.permute(0, 2, 3, 1)))).permute(0, 3, 1, 2)
        return self.head(self.up(x))


class Binary(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 1, 3, padding=1)

    def forward(self, x):
        return self.conv(x)


class Shared(nn.Module):
    """One tensor in two places."""

    def __init__(self):
        super().__init__()
        self.first, self.again = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
        self.again.weight = self.first.weight

    def forward(self, x):
        return self.again(torch.relu(self.first(x)))


class Spectral(nn.Module):
    """What ONNX has no operation for."""

    def __init__(self):
        super().__init__()
        self.net = SmallNet()

    def forward(self, x):
        return self.net(x) + torch.special.i0e(x.mean())


def write(module, path, **options):
    return export.bundle(module, path, **{"input_size": SIZE, **options})


def server_side(bundle, folder):
    """The spec with which a server opens a bundle."""
    with zipfile.ZipFile(bundle.path) as archive:
        description = json.loads(archive.read("bundle.json"))
        is_script = bundle.network == "network.pt"
        file = archive.extract("network.pt" if is_script else "weights.safetensors", folder)
    return ams.torch.StudentSpec(
        network=file if is_script else bundle.network,
        weights="" if is_script else file,
        num_classes=bundle.num_classes,
        input_width=bundle.input_width,
        input_height=bundle.input_height,
        selected_classes=bundle.selected_classes,
        train_batch_norm_statistics=description["train_batch_norm_statistics"],
    )


def updated(values, seed=5):
    return (values * np.random.default_rng(seed).uniform(0.7, 1.3, values.shape)).astype(np.float32)


STUDENTS = {
    "a module": (SmallNet, {"num_classes": 4}),
    "many kinds of layers": (Mixed, {}),
    "a scripted module": (lambda: torch.jit.script(SmallNet()), {}),
    "statistics": (SmallNet, {"train_batch_norm_statistics": True}),
    "selected classes": (SmallNet, {"selected_classes": [1, 3]}),
    "one channel": (Binary, {"num_classes": 2}),
    "a shared tensor": (Shared, {}),
    "edanet": (lambda: "edanet", {"num_classes": 5, "selected_classes": [0, 2, 3]}),
    "deeplabv3_mobilenetv2": (lambda: "deeplabv3_mobilenetv2", {}),
}


@pytest.mark.parametrize("name", STUDENTS)
def test_device_and_server_have_one_student_of_one_file(name, tmp_path):
    make, options = STUDENTS[name]
    torch.manual_seed(1)
    exported = write(make(), tmp_path / "x.bundle", **options)
    assert [p.name for p in tmp_path.iterdir()] == ["x.bundle"]
    assert exported.flags == ["--student", str(tmp_path / "x.bundle")]
    assert exported.checked_with == ("libtorch", "onnxruntime")

    bundle = bundles.read(exported.path)
    spec = server_side(bundle, tmp_path)
    known = ams.torch.load_student_values(spec)
    assert bundle.manifest == known.manifest
    assert bundle.fingerprint == known.fingerprint == exported.fingerprint
    np.testing.assert_array_equal(bundle.values, known.values)

    server, device = ams.torch.NetworkPredictor(spec), OnnxPredictor(bundle)
    for values in (bundle.values, updated(bundle.values)):
        server.load(values)
        device.load(values)
        frame = random_frame(6, *SIZE)
        labels = device.predict(frame)
        assert labels.dtype == np.uint8 and labels.shape == SIZE
        assert set(np.unique(labels)) <= set(bundle.shown_classes)
        assert np.mean(labels != server.predict(frame)) < 0.005


def test_what_a_bundle_says(tmp_path):
    names = ["road", "car", "tree", "sky"]
    write(SmallNet(), tmp_path / "x.bundle", class_names=names)
    bundle = bundles.read(tmp_path / "x.bundle")
    assert (bundle.input_width, bundle.input_height) == (SIZE[1], SIZE[0])
    assert bundle.class_names == tuple(names) and bundle.class_name(3) == "sky"
    assert bundle.num_classes == 4 and bundle.shown_classes == (0, 1, 2, 3)
    roles = {tensor.role for tensor in bundle.manifest.tensors}
    assert roles == {"weight", "normalization", "head"}
    assert not bundle.values.flags.writeable
    graph = onnx.load_from_string(bytes(bundle.onnx_model(bundle.values)))
    onnx.checker.check_model(graph)
    assert "BatchNormalization" in {node.op_type for node in graph.graph.node}
    for values in (bundle.values[:-1], bundle.values.astype(np.float64)):
        with pytest.raises(ams.InvalidArgumentError, match=r"needed are float32 \[\d+\]"):
            bundle.onnx_model(values)


def test_the_same_student_gives_the_same_file(tmp_path):
    torch.manual_seed(2)
    module = SmallNet()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    for name in ("a.bundle", "b.bundle"):
        write(torch.jit.script(module), tmp_path / name)
    read = [(tmp_path / name).read_bytes() for name in ("a.bundle", "b.bundle")]
    assert read[0] == read[1]
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


REFUSED = {
    "ONNX cannot express the network": (Spectral, {}),
    "no trainable parameters": (lambda: SmallNet().requires_grad_(False), {}),
    "there is no student 'resnet'; allowed are": (lambda: "resnet", {}),
    "needed is one for each of 4 classes": (SmallNet, {"class_names": ["road"]}),
    "class_names has ''": (SmallNet, {"class_names": ["road", "car", "sky", ""]}),
    "selected_classes must be ascending": (SmallNet, {"selected_classes": [3, 1]}),
    "a StudentSpec says all": (ams.torch.StudentSpec, {}),
    "(32|64) .*|input_size": (SmallNet, {"input_size": (8, 8)}),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_cannot_be_streamed_is_refused_and_nothing_is_written(message, tmp_path):
    make, options = REFUSED[message]
    with pytest.raises(ams.InvalidArgumentError, match=message):
        write(make(), tmp_path / "x.bundle", **options)
    assert not list(tmp_path.iterdir())


def test_a_path_of_another_name_and_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(ams.InvalidArgumentError, match="end in .bundle"):
        write(SmallNet(), tmp_path / "x.pt")
    with pytest.raises(ams.IoError, match="there is no folder"):
        write(SmallNet(), tmp_path / "nowhere" / "x.bundle")


def test_a_program_for_executorch_needs_its_package(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "executorch.exir", None)
    with pytest.raises(ams.UnavailableError, match="pip install executorch"):
        write(SmallNet(), tmp_path / "x.bundle", executorch=True)
    assert not list(tmp_path.iterdir())


# ---- Reading


@pytest.fixture(scope="module")
def entries(tmp_path_factory):
    """The files of a good bundle, by name."""
    path = tmp_path_factory.mktemp("good") / "good.bundle"
    torch.manual_seed(3)
    write(SmallNet(), path)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def archive_of(entries, compression=zipfile.ZIP_DEFLATED):
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", compression) as archive:
        for name, contents in entries.items():
            archive.writestr(name, contents)
    return written.getvalue()


def described(entries, **changes):
    return entries | {"bundle.json": json.dumps(json.loads(entries["bundle.json"]) | changes)}


def without(entries, name):
    return {kept: contents for kept, contents in entries.items() if kept != name}


def moved(entries, change):
    """With other places of tensors in the graph."""
    places = json.loads(entries["bundle.json"])["onnx"]
    change(places["tensors"])
    return described(entries, onnx=places)


def tensors_of(entries):
    return json.loads(entries["bundle.json"])["tensors"]


INFINITY = np.array([np.inf], "<f4").tobytes()

BAD = {
    "no bundle.json": lambda e: without(e, "bundle.json"),
    "no values.bin": lambda e: without(e, "values.bin"),
    "no network.onnx": lambda e: without(e, "network.onnx"),
    "no network.pt": lambda e: without(e, "network.pt"),
    "is no JSON": lambda e: e | {"bundle.json": b"{"},
    "is no JSON: .*recursion": lambda e: e | {"bundle.json": b"[" * 100000},
    'no "format"': lambda e: described(e, format="model"),
    "version 2; this build reads version 1": lambda e: described(e, version=2),
    "16 hexadecimal digits": lambda e: described(e, fingerprint="0x12"),
    "32 to 4096 pixels": lambda e: described(e, input={"width": 64, "height": 5000}),
    "num_classes 300; allowed is 2 to 254": lambda e: described(e, num_classes=300),
    "class_names .*; allowed is 4 texts": lambda e: described(e, class_names=["a"]),
    "selected_classes .*ascending": lambda e: described(e, selected_classes=[2, 1]),
    "network '../x'": lambda e: described(e, network="../x"),
    "weights None": lambda e: described(e, network="edanet"),
    "at least one tensor": lambda e: described(e, tensors=[]),
    "extent -1": lambda e: described(e, tensors=[{"name": "a", "shape": [-1]}]),
    "allowed are 268435456": lambda e: described(e, tensors=[{"name": "a", "shape": [1 << 31]}]),
    "the tensors take": lambda e: e | {"values.bin": e["values.bin"][:-4]},
    "not finite": lambda e: e | {"values.bin": INFINITY + e["values.bin"][4:]},
    "has other values than values.bin": lambda e: (
        e | {"values.bin": bytes(4) + e["values.bin"][4:]}
    ),
    "lacks the trained tensor 'stem.0.weight'": lambda e: moved(e, lambda places: places.pop(0)),
    "ends within the tensor": lambda e: moved(e, lambda p: p[0].update(offset=1 << 40)),
    "within another tensor": lambda e: moved(e, lambda p: p[0].update(offset=p[1]["offset"])),
    "offset -4; allowed": lambda e: moved(e, lambda p: p[0].update(offset=-4)),
    "which is no tensor of the student": lambda e: moved(
        e, lambda p: p.append({"name": "other", "offset": 0})
    ),
    "twice": lambda e: moved(e, lambda p: p.append(p[0])),
    "grows from": lambda e: e | {"values.bin": bytes(32 << 20)},
}


@pytest.mark.parametrize("message", BAD)
def test_a_bad_bundle_is_one_error_that_names_it(message, entries, tmp_path):
    path = tmp_path / "bad.bundle"
    path.write_bytes(archive_of(BAD[message](entries)))
    with pytest.raises(ams.Error, match=f"bad.bundle' cannot be used: .*{message}") as found:
        bundles.read(path)
    assert type(found.value) in (
        ams.MalformedDataError,
        ams.LimitExceededError,
        ams.UnsupportedVersionError,
    )


def test_other_files(entries, tmp_path):
    good = archive_of(entries)
    middle = good.index(b"network.onnx") + 200
    flipped = good[:middle] + bytes([good[middle] ^ 255]) + good[middle + 1 :]
    for contents in (b"", b"not a bundle", good[: len(good) // 2], good[:-1], flipped):
        (tmp_path / "bad.bundle").write_bytes(contents)
        with pytest.raises(ams.MalformedDataError, match="no student bundle, or a damaged one"):
            bundles.read(tmp_path / "bad.bundle")
    with pytest.raises(ams.IoError, match="No such file"):
        bundles.read(tmp_path / "nowhere.bundle")
    with pytest.raises(ams.IoError, match="directory"):
        bundles.read(tmp_path)
    many = entries | {f"file{i}": b"" for i in range(100)}
    (tmp_path / "bad.bundle").write_bytes(archive_of(many))
    with pytest.raises(ams.MalformedDataError, match="it has 10[0-9] files"):
        bundles.read(tmp_path / "bad.bundle")


def test_cut_anywhere_it_is_refused(entries, tmp_path):
    good = archive_of(entries)
    path = tmp_path / "cut.bundle"
    for size in range(0, len(good), len(good) // 40):
        path.write_bytes(good[:size])
        with pytest.raises(ams.MalformedDataError):
            bundles.read(path)


def test_a_graph_that_is_no_network_of_these_sizes_is_refused(entries, tmp_path):
    path = tmp_path / "bad.bundle"
    path.write_bytes(archive_of(described(entries, input={"width": 128, "height": 32})))
    with pytest.raises(ams.MalformedDataError, match=r"needed is frame, uint8 \[1, 32, 128, 3\]"):
        OnnxPredictor(path)
    cut = bytearray(entries["network.onnx"])
    cut[:40] = bytes(40)
    path.write_bytes(archive_of(entries | {"network.onnx": bytes(cut)}))
    with pytest.raises(ams.MalformedDataError, match="ONNX Runtime cannot open network.onnx"):
        OnnxPredictor(path)


def test_options_of_the_predictor(entries, tmp_path):
    path = tmp_path / "x.bundle"
    path.write_bytes(archive_of(entries))
    assert "CPU" in execution_providers()
    predictor = OnnxPredictor(path, execution_provider="cpu", threads=2)
    assert predictor.predict(random_frame(6, 96, 160)).shape == SIZE
    with pytest.raises(ams.InvalidArgumentError, match="'abacus'; allowed .* are .*CPU"):
        OnnxPredictor(path, execution_provider="abacus")
    with pytest.raises(ams.InvalidArgumentError, match="threads is 0; allowed are 1 to 1024"):
        OnnxPredictor(path, threads=0)


# ---- The command


def test_the_command_writes_a_bundle(tmp_path, capsys):
    path = tmp_path / "x.bundle"
    flags = ["--student", "edanet", "--classes", "3", "--input", "64x32"]
    assert command(["bundle", *flags, "--class-names", "road,car,sky", str(path)]) == 0
    bundle = bundles.read(path)
    assert bundle.class_names == ("road", "car", "sky") and bundle.input_width == 64
    assert command(["bundle", "--student", "resnet", str(path)]) == 1
    assert capsys.readouterr().err.startswith("error: there is no student 'resnet'")
    with pytest.raises(SystemExit, match="2"):
        command(["bundle", "--input", "64", str(path)])
    with pytest.raises(SystemExit, match="0"):
        command(["bundle", "--help"])
    assert "ams-server --student street.bundle" in capsys.readouterr().out
