"""What ams.inspect() says of networks of several kinds."""

import copy
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from torch_support import SmallNet, torch

import ams
import ams.torch
from ams import export

nn, F = torch.nn, torch.nn.functional
QUICK = {"input_size": (32, 48), "batch_size": 2, "steps": 1}


class TinyTransformer(nn.Module):
    """Patches, attention with layer norm, a head of two layers, and frozen positions."""

    def __init__(self, classes: int = 4) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.patches = nn.Conv2d(3, 16, 8, stride=8)
        self.positions = nn.Parameter(torch.zeros(1, 24, 16), requires_grad=False)
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.decode_head = nn.Sequential(nn.Linear(16, 8), nn.GELU(), nn.Linear(8, classes))

    def forward(self, x):
        x = self.patches(x)
        height, width = x.shape[2:]
        x = self.encoder(x.flatten(2).transpose(1, 2) + self.positions[:, : height * width])
        logits = self.decode_head(x).transpose(1, 2).unflatten(2, (height, width))
        return {"logits": logits, "last_hidden_state": x}


def by_role(found):
    return {group.role: group for group in found.groups}


def by_strategy(found):
    return {cost.strategy: cost for cost in found.costs}


def test_a_network_with_batch_norm():
    model = SmallNet()
    before = copy.deepcopy(model.state_dict())
    found = ams.inspect(model, **QUICK)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    groups = by_role(found)
    assert groups["normalization"].layers == ("stem.1", "middle.1")
    assert groups["head"].layers == ("head",)
    assert (groups["normalization"].values, groups["head"].values) == (32, 36)
    assert sum(group.values for group in found.groups) == sum(p.numel() for p in model.parameters())
    assert list(by_strategy(found)) == ["normalization_and_head", "gradient_guided", "full"]
    costs = by_strategy(found)
    total = sum(p.numel() for p in model.parameters())
    assert costs["normalization_and_head"].values == 68
    assert costs["gradient_guided"].values == ams.fraction_count(0.05, total)
    assert (costs["full"].values, costs["full"].gamma) == (total, None)
    assert costs["gradient_guided"].gamma == 0.05
    for cost in found.costs:
        assert list(cost.update_bytes) == ["compact", "reference"]
        assert 0 < cost.update_bytes["compact"] < cost.update_bytes["reference"]
        assert cost.seconds_per_step > 0
    assert found.notes == ()


def test_the_table_and_the_values_say_the_same():
    found = ams.inspect(SmallNet(), **QUICK)
    lines = str(found).splitlines()
    assert lines[0] == "SmallNet: 876 values to train, input 48 x 32" and repr(found) == str(found)
    row = next(line for line in lines if line.startswith("normalization "))
    assert row.split() == ["normalization", "4", "32", "3.7%", "stem.1,", "middle.1"]
    row = next(line for line in lines if line.startswith("gradient_guided")).split()
    cost = by_strategy(found)["gradient_guided"]
    assert row[1:5] == ["5%", "44", *(str(n) for n in cost.update_bytes.values())]
    content = json.loads(json.dumps(found.as_dict()))
    assert content["name"] == "SmallNet" and content["input_size"] == [32, 48]
    assert content["costs"][1]["update_bytes"] == cost.update_bytes


def test_a_transformer_with_a_head_of_several_layers():
    found = ams.inspect(TinyTransformer(), **QUICK)
    groups = by_role(found)
    assert groups["normalization"].layers == tuple(
        f"encoder.layers.{i}.norm{k}" for i in (0, 1) for k in (1, 2)
    )
    assert groups["head"].layers == ("decode_head.2",)
    assert groups["frozen"].values == 24 * 16
    (note,) = found.notes
    assert note == (
        "the head is the last layer alone; head=['decode_head.*'] would be 4 tensors with 172 "
        "values"
    )
    named = ams.inspect(TinyTransformer(), head=["decode_head.*"], **QUICK)
    assert by_role(named)["head"].layers == ("decode_head.0", "decode_head.2")
    assert by_role(named)["head"].values == 172 and named.notes == ()
    assert f"Note: {note}" in str(found) and "Note" not in str(named)


def test_a_network_without_normalisation_is_trained_whole():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 1))
    found = ams.inspect(model, **QUICK)
    assert list(by_strategy(found)) == ["full", "gradient_guided"]
    (note,) = found.notes
    assert note.startswith("no normalisation layers were found")
    named = ams.inspect(model, normalization=["0.bias"], **QUICK)
    assert named.costs[0].strategy == "normalization_and_head"
    assert by_role(named)["normalization"].values == 4


class TwoHeads(SmallNet):
    def __init__(self) -> None:
        super().__init__()
        self.depth = nn.Conv2d(8, 1, 1)

    def forward(self, x):
        x = self.stem(x)
        return self.head(x), [self.depth(x), "of what"]


def test_other_heads_are_named():
    (note,) = ams.inspect(TwoHeads(), **QUICK).notes
    assert note == (
        "the outputs come from head, depth: name what is the head with head=['head.*', 'depth.*']"
    )
    assert ams.inspect(TwoHeads(), head=["head.*", "depth.*"], **QUICK).notes == ()


def test_a_head_that_is_registered_first():
    class HeadFirst(SmallNet):
        def __init__(self) -> None:
            super().__init__()
            self.colours = nn.Conv2d(3, 3, 1)

        def forward(self, x):
            return super().forward(self.colours(x))

    (note,) = ams.inspect(HeadFirst(), **QUICK).notes
    assert "the outputs come from head: " in note


def test_bytes_are_about_those_of_real_training():
    """The same network trained for a phase on labels that it does not know yet."""
    model = ams.torch.open_network("edanet", num_classes=4)
    server = ams.torch.ServerStudent(model)
    random = np.random.default_rng(1)
    frames = torch.from_numpy(random.normal(size=(2, 3, 64, 64)).astype(np.float32))
    labels = torch.from_numpy(random.integers(0, 4, (2, 8, 8)))
    update = server.train(lambda x: F.cross_entropy(model(x), labels), [frames] * 8)
    module = ams.torch.open_network("edanet", num_classes=4)
    tensors = [(t.name, t.size, t.role) for t in ams.torch.ParameterVector(module).manifest.tensors]

    class Same(nn.Module):
        """Tensors of the same roles and sizes."""

        def __init__(self) -> None:
            super().__init__()
            for i, (_, size, role) in enumerate(tensors):
                setattr(self, f"{role}{i}", nn.Parameter(torch.ones(size)))

        def forward(self, x):
            return sum(p.mean() for p in self.parameters()) * x

    found = ams.inspect(
        Same(),
        head=["head*"],
        normalization=["normalization*"],
        strategies=["normalization_and_head"],
        **QUICK,
    )
    assert 0.5 < found.costs[0].update_bytes["compact"] / len(update) < 2


def test_a_loss_of_the_caller_s():
    class Words(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(10, 4)
            self.norm = nn.LayerNorm(4)
            self.head = nn.Linear(4, 2)

        def forward(self, ids):
            return self.head(self.norm(self.table(ids)))

    with pytest.raises(ams.InvalidArgumentError, match=r"does not take pictures.*pass input_size="):
        ams.inspect(Words(), **QUICK)
    ids = torch.zeros(2, 3, dtype=torch.int64)
    found = ams.inspect(Words(), loss=lambda module: module(ids).square().mean(), steps=1)
    assert found.input_size is None and "input" not in str(found).splitlines()[0]
    with pytest.raises(ams.InvalidArgumentError, match="loss must give a scalar"):
        ams.inspect(Words(), loss=lambda module: module(ids))


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (SmallNet, {"strategies": ["best"]}, "gradient_guided"),
        (SmallNet, {"gamma": 0}, "gamma"),
        (SmallNet, {"head": ["decoder.*"]}, "decoder"),
        (SmallNet, {"batch_size": 0}, "batch_size is 0"),
        (SmallNet, {"steps": 0}, "steps is 0"),
        (SmallNet, {"input_size": (0, 1)}, "input_size is"),
        (lambda: SmallNet().requires_grad_(False), {}, "requires a gradient|requires_grad"),
        (dict, {}, "type dict; allowed are a torch.nn.Module"),
    ],
)
def test_what_is_refused(make, options, message):
    with pytest.raises(ams.InvalidArgumentError, match=message):
        ams.inspect(make(), **{**QUICK, **options})


def command(*arguments, folder):
    environment = {**os.environ, "PYTHONPATH": f"{os.environ['PYTHONPATH']}:{folder}"}
    return subprocess.run(
        [sys.executable, "-m", "ams.inspect", *arguments],
        capture_output=True,
        text=True,
        env=environment,
        cwd=folder,
    )


def test_the_command(tmp_path):
    (tmp_path / "my_models.py").write_text(
        "from torch import nn\n"
        "def make():\n"
        "    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1))\n"
    )
    small = ("--input", "48x32", "--batch-size", "2", "--steps", "1")
    done = command("my_models:make", *small, "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    content = json.loads(done.stdout)
    assert content["input_size"] == [32, 48]
    assert [cost["strategy"] for cost in content["costs"]][0] == "normalization_and_head"
    done = command("my_models:build", folder=tmp_path)
    assert done.returncode == 1 and "has nothing called 'build'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_bundle(tmp_path):
    pytest.importorskip("onnx")
    export.bundle(SmallNet(), tmp_path / "small.bundle", input_size=(32, 48))
    found = ams.inspect(tmp_path / "small.bundle", batch_size=2, steps=1)
    module = ams.inspect(SmallNet(), **QUICK)
    assert found.name == "small.bundle" and found.input_size == (32, 48)
    assert [(g.role, g.values) for g in found.groups] == [(g.role, g.values) for g in module.groups]
    assert [c.values for c in found.costs] == [c.values for c in module.costs]
    with pytest.raises(ams.IoError, match="cannot read the bundle"):
        ams.inspect(tmp_path / "none.bundle")


def test_ams_inspect_is_a_function_and_no_module():
    with pytest.raises(ImportError, match="is a function"):
        __import__("ams.inspect")
    assert callable(ams.inspect)
