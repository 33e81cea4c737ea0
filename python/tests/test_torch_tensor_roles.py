"""Roles by the types of a module's layers, and strategies by group on modules that are not ours."""

import copy
import warnings

import numpy as np
import pytest
from torch_support import SmallNet, torch, training_job

import ams
import ams.torch

nn, F = torch.nn, torch.nn.functional


def roles(vector):
    return {t.name: t.role for t in vector.manifest.tensors if t.role != "weight"}


class OwnNorm(nn.LayerNorm):
    """A layer norm of channels, as many networks have."""

    def forward(self, x):
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ManyNorms(nn.Module):
    """Every kind of normalisation; the head is registered before one."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.scale = nn.Parameter(torch.ones(1))
        self.convolution = nn.Conv2d(3, 8, 1)
        self.batch = nn.BatchNorm2d(8)
        self.group = nn.GroupNorm(2, 8)
        self.instance = nn.InstanceNorm2d(8, affine=True)
        self.rms = nn.RMSNorm([16, 16])
        self.classifier = nn.Conv2d(8, 4, 1)
        self.layer = OwnNorm(4)

    def forward(self, x):
        x = self.rms(self.instance(self.group(self.batch(self.convolution(x * self.scale)))))
        return self.layer(self.classifier(x))


def test_roles_follow_from_the_types_of_layers():
    expected = {
        "batch.weight": "normalization",
        "batch.bias": "normalization",
        "group.weight": "normalization",
        "group.bias": "normalization",
        "instance.weight": "normalization",
        "instance.bias": "normalization",
        "rms.weight": "normalization",
        "classifier.weight": "head",
        "classifier.bias": "head",
        "layer.weight": "normalization",
        "layer.bias": "normalization",
    }
    assert roles(ams.torch.ParameterVector(ManyNorms())) == expected
    scripted = torch.jit.script(SmallNet())
    assert roles(ams.torch.ParameterVector(scripted)) == roles(
        ams.torch.ParameterVector(SmallNet())
    )
    pairs = ManyNorms().named_parameters()
    assert roles(ams.torch.ParameterVector(pairs)) == {}  # their layers are not known


class PlainLayerNorm2d(nn.Module):
    """A normalisation by its name alone, as many networks bring one."""

    def __init__(self, channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x):
        x = (x - x.mean(1, keepdim=True)) / (x.var(1, keepdim=True) + 1e-6).sqrt()
        return self.weight.view(1, -1, 1, 1) * x + self.bias.view(1, -1, 1, 1)


class LayerNormLinear(nn.Module):
    """More than a normalisation."""

    def __init__(self, channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.eye(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x):
        x = nn.functional.layer_norm(x.movedim(1, -1), self.bias.shape)
        return nn.functional.linear(x, self.weight, self.bias).movedim(-1, 1)


def test_layers_that_are_called_normalisation():
    module = nn.Sequential(
        nn.Conv2d(3, 8, 1), PlainLayerNorm2d(8), LayerNormLinear(8), nn.Conv2d(8, 4, 1)
    )
    expected = {
        "1.weight": "normalization",
        "1.bias": "normalization",
        "3.weight": "head",
        "3.bias": "head",
    }
    assert roles(ams.torch.ParameterVector(module)) == expected
    assert roles(ams.torch.ParameterVector(torch.jit.script(module))) == expected


def test_a_script_s_roles_are_the_server_s(tmp_path):
    """ams-server finds them in C++."""
    module = nn.Sequential(
        nn.Conv2d(3, 8, 1), PlainLayerNorm2d(8), LayerNormLinear(8), nn.Conv2d(8, 4, 1)
    )
    torch.jit.script(module).save(tmp_path / "model.pt")
    spec = ams.torch.StudentSpec(network=tmp_path / "model.pt", num_classes=4)
    tensors = ams.torch.load_student_values(spec).manifest.tensors
    assert {t.name: t.role for t in tensors if t.role != "weight"} == {
        "1.weight": "normalization",
        "1.bias": "normalization",
        "3.weight": "head",
        "3.bias": "head",
    }


def test_frozen_layers_are_no_head():
    module = SmallNet()
    module.head.requires_grad_(False)
    assert roles(ams.torch.ParameterVector(module)) == {
        "stem.1.weight": "normalization",
        "stem.1.bias": "normalization",
        "middle.0.weight": "head",
        "middle.0.bias": "head",
        "middle.1.weight": "normalization",
        "middle.1.bias": "normalization",
    }


class SeveralHeads(SmallNet):
    """Labels, depth, and an uncertainty of both."""

    def __init__(self):
        super().__init__()
        self.depth = nn.Conv2d(8, 1, 1)
        self.uncertainty = nn.Sequential(nn.Conv2d(8, 8, 1), nn.ReLU(), nn.Conv2d(8, 2, 1))


def test_of_several_heads_one_is_taken_and_the_others_are_named():
    group = {"strategy": "normalization_and_head"}
    found = r"'uncertainty\.2\.\*', is taken for the head, and head\.\*, depth\.\* may"
    for options in (group, {"head_multiplier": 4}):
        with pytest.warns(UserWarning, match=found):
            ams.torch.GradientGuidedAdam(SeveralHeads(), **options)
        with pytest.warns(UserWarning, match=found):
            ams.torch.ServerStudent(SeveralHeads(), **options)
    with pytest.warns(UserWarning, match=found):
        ams.torch.ModuleTrainer(SeveralHeads(), loss=F.mse_loss)
    with pytest.warns(UserWarning, match=found):
        ams.torch.GradientGuidedAdam(nn.DataParallel(SeveralHeads()), **group)
    # As the warning says.
    heads = ["head.*", "depth.*", "uncertainty.2.*"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        adam = ams.torch.GradientGuidedAdam(SeveralHeads(), head=heads, **group)
        assert [n for n, role in roles(adam.vector).items() if role == "head"] == [
            "head.weight",
            "head.bias",
            "depth.weight",
            "depth.bias",
            "uncertainty.2.weight",
            "uncertainty.2.bias",
        ]
        ams.torch.GradientGuidedAdam(SeveralHeads())  # roles make no difference


@pytest.mark.parametrize(
    "make",
    [
        SmallNet,
        ManyNorms,
        lambda: nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3)),
        lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(392, 3)),
        lambda: nn.Sequential(nn.Conv2d(3, 16, 3), nn.Flatten(), nn.Linear(784, 784)),
        lambda: nn.Transformer(8, 2, 1, 1, 16),
        lambda: nn.Linear(4, 2),
        lambda: nn.Sequential(nn.LSTM(4, 8), nn.Linear(8, 2)),
    ],
)
def test_one_head_is_no_reason_to_warn(make):
    module, other = make(), make()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ams.torch.ModuleTrainer(module, loss=F.mse_loss)
        ams.torch.GradientGuidedAdam(other, head_multiplier=2)


def test_a_network_of_the_library_knows_its_roles():
    network = ams.torch.open_network("edanet", num_classes=5)
    vector = ams.torch.ParameterVector(network)
    spec = ams.torch.StudentSpec(num_classes=5)
    values = ams.torch.load_student_values(spec)
    assert [t.role for t in vector.manifest.tensors] == [t.role for t in values.manifest.tensors]
    assert {t.role for t in vector.manifest.tensors} == {"weight", "normalization", "head"}
    last = vector.manifest.tensors[-1].name
    named = ams.torch.StudentSpec(num_classes=5, normalization=["*bias"], head=[last])
    assert (named.normalization, named.head) == (["*bias"], [last])
    tensors = ams.torch.load_student_values(named).manifest.tensors
    assert [t.name for t in tensors if t.role == "head"] == [last]
    assert all(t.name.endswith("bias") for t in tensors if t.role == "normalization")


def test_patterns_take_their_place():
    patterns = {"normalization": ["stem.1.*"], "head": ["stem.0.*"]}
    expected = {
        "stem.0.weight": "head",
        "stem.0.bias": "head",
        "stem.1.weight": "normalization",
        "stem.1.bias": "normalization",
    }
    module = SmallNet()
    assert roles(ams.torch.ParameterVector(module, **patterns)) == expected
    assert roles(ams.torch.ParameterVector(SmallNet().named_parameters(), **patterns)) == expected
    trainer = ams.torch.ModuleTrainer(SmallNet(), loss=F.cross_entropy, **patterns)
    assert roles(trainer.vector) == expected
    adam = ams.torch.GradientGuidedAdam(SmallNet(), strategy="normalization", **patterns)
    assert roles(adam.vector) == expected
    with pytest.raises(ams.InvalidArgumentError, match="decoder"):
        ams.torch.ParameterVector(SmallNet(), head=["decoder.*"])
    with pytest.raises(ams.InvalidArgumentError, match="ParameterVector"):
        ams.torch.GradientGuidedAdam(ams.torch.ParameterVector(SmallNet()), head=["head.*"])


def step(module, optimizer, seed=0):
    optimizer.zero_grad()
    inputs = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(seed))
    outputs = module(inputs)
    target = torch.full((4, *outputs.shape[2:]), 1)
    F.cross_entropy(outputs, target).backward()
    optimizer.step()


@pytest.mark.parametrize("make", [SmallNet, ManyNorms])
@pytest.mark.parametrize("group", ["normalization", "normalization_and_head"])
@pytest.mark.parametrize("guided", [False, True])
def test_a_strategy_by_group_moves_its_group(make, group, guided):
    module = make().eval()
    strategy = group + "+gradient_guided" * guided
    optimizer = ams.torch.GradientGuidedAdam(module, lr=1e-2, gamma=0.05, strategy=strategy)
    wanted = {"normalization", "head"} if group.endswith("head") else {"normalization"}
    before = {name: p.detach().clone() for name, p in module.named_parameters()}
    for phase in range(2):
        coordinates = optimizer.begin_phase()
        tensors = optimizer.vector.manifest.tensors
        fixed = sum(t.size for t in tensors if t.role in wanted)
        extra = ams.fraction_count(0.05, optimizer.vector.manifest.dimension) if guided else 0
        assert len(coordinates) == fixed + extra
        step(module, optimizer, phase)
    for spec, (name, parameter) in zip(tensors, module.named_parameters(), strict=True):
        assert parameter.requires_grad == (guided or spec.role in wanted)
        if not guided and spec.role not in wanted:
            assert torch.equal(parameter, before[name])
    moved = {
        role: sum(
            int((p.detach() != before[t.name]).sum())
            for t, p in zip(tensors, module.parameters(), strict=True)
            if t.role == role
        )
        for role in ("normalization", "head")
    }
    assert moved["normalization"] > 0
    assert (moved["head"] > 0) or "head" not in wanted


def test_a_module_without_such_layers_is_told_so():
    plain = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 4, 1))
    for strategy in ("normalization", "normalization_and_head", "normalization+gradient_guided"):
        with pytest.raises(ams.InvalidArgumentError, match="needs normalisation layers"):
            ams.torch.GradientGuidedAdam(plain, strategy=strategy)
        with pytest.raises(ams.InvalidArgumentError, match="normalisation layers"):
            ams.torch.ServerStudent(plain, strategy=strategy)
    ams.torch.GradientGuidedAdam(plain, strategy="normalization", normalization=["0.bias"])


def test_multipliers_are_rates_by_role():
    rates = {"weight_multiplier": 0.5, "normalization_multiplier": 8, "head_multiplier": 2}
    module = SmallNet().eval()
    optimizer = ams.torch.GradientGuidedAdam(module, lr=1e-3, strategy="full", **rates)
    before = optimizer.vector.copy()
    optimizer.begin_phase()
    step(module, optimizer)
    moved = np.abs(optimizer.vector.copy() - before)
    gradients = optimizer.vector.gradients.numpy()
    for spec in optimizer.vector.manifest.tensors:  # the first step of Adam is the rate itself
        place = slice(spec.offset, spec.offset + spec.size)
        clear = np.abs(gradients[place]) > 1e-5
        expected = 1e-3 * rates[f"{spec.role}_multiplier"]
        assert np.allclose(moved[place][clear], expected, rtol=2e-2)

    saved = copy.deepcopy(optimizer.state_dict())
    twin_module = SmallNet().eval()
    twin_module.load_state_dict(module.state_dict())
    twin = ams.torch.GradientGuidedAdam(twin_module)
    twin.load_state_dict(saved)
    for one, net in ((optimizer, module), (twin, twin_module)):
        one.param_groups[0]["head_multiplier"] = 4  # of the next phase
        step(net, one, 1)
        one.begin_phase()
        step(net, one, 2)
    assert torch.equal(optimizer.vector.values, twin.vector.values)
    head = optimizer.vector.manifest.tensors[-1]
    rate = float(optimizer.update.abs()[head.offset :].max())
    plain = ams.torch.TensorAdam(**optimizer._adam.state(), learning_rate=1e-3)
    assert rate == pytest.approx(4 * float(plain.update().abs()[head.offset :].max()), rel=1e-5)
    with pytest.raises(ams.InvalidArgumentError, match="head"):
        ams.torch.GradientGuidedAdam(SmallNet(), head_multiplier=0)


def test_a_module_trainer_trains_by_group_at_rates_of_its_own():
    def first_moves(**options):
        module = SmallNet()
        trainer = ams.torch.ModuleTrainer(module, loss=F.cross_entropy)
        state = ams.ModelState(trainer.manifest, trainer.vector.copy())
        inputs = torch.rand(8, 3, 16, 16, generator=torch.Generator().manual_seed(3))
        samples = [(x, torch.full((8, 8), 1)) for x in inputs]
        _, job = training_job(
            state, samples, iterations=1, strategy="normalization_and_head", **options
        )
        result = trainer.train(job)
        assert np.isin(
            np.flatnonzero(result.parameters != job.parameters), job.coordinates.indices
        ).all()
        tensors = trainer.manifest.tensors
        assert job.required_gradients == [t.role != "weight" for t in tensors]
        moved = np.abs(result.parameters - job.parameters)
        return [moved[t.offset : t.offset + t.size] for t in tensors if t.role != "weight"]

    one, other = first_moves(), first_moves(normalization_multiplier=4, head_multiplier=0.5)
    for factor, before, after in zip([4, 4, 4, 4, 0.5, 0.5], one, other, strict=True):
        assert np.allclose(after, factor * before, rtol=5e-2, atol=1e-6)


def test_a_student_is_streamed_by_group_in_profile_compact():
    model = SmallNet().eval()
    device = ams.torch.DeviceStudent(copy.deepcopy(model))
    server = ams.torch.ServerStudent(
        model,
        lr=1e-2,
        strategy="normalization_and_head",
        normalization_multiplier=2,
        profile="compact",
        relative_step=0.5,
        step_exponent=-12,
    )
    frames = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(3))

    def loss(batch):
        outputs = model(batch)
        return F.cross_entropy(outputs, torch.full((4, *outputs.shape[2:]), 2))

    first = loss(frames).item()
    for _ in range(5):
        info = device.apply(server.train(loss, [frames] * 5))
        assert info.profile == "compact" and device.version == server.version
    assert loss(frames).item() < first
    with torch.no_grad():
        assert torch.equal(device(frames), model(frames))
