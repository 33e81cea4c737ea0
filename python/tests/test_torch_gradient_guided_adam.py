import copy
import io
import subprocess
import sys

import numpy as np
import pytest
from torch_support import SmallNet, torch

import ams
import ams.torch


def loss_of(module, seed):
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(2, 3, 16, 16, generator=generator)
    targets = torch.randint(0, 4, (2, 8, 8), generator=generator)
    return torch.nn.functional.cross_entropy(module(inputs), targets)


def run(module, optimizer, seeds):
    losses = []
    for seed in seeds:
        optimizer.zero_grad()
        loss = loss_of(module, seed)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def flat(module):
    return torch.cat([p.detach().flatten() for p in module.parameters()]).clone()


def test_at_gamma_1_it_is_adam_over_phases():
    module, plain = SmallNet().eval(), SmallNet().eval()
    ours = ams.torch.GradientGuidedAdam(module, lr=3e-3, betas=(0.8, 0.99), eps=1e-6, gamma=1)
    theirs = torch.optim.Adam(plain.parameters(), lr=3e-3, betas=(0.8, 0.99), eps=1e-6)
    for phase in range(4):
        coordinates = ours.begin_phase()
        assert len(coordinates) == ours.vector.manifest.dimension
        seeds = range(10 * phase, 10 * phase + 6)
        assert run(module, ours, seeds) == pytest.approx(run(plain, theirs, seeds), rel=1e-5)
        assert torch.allclose(flat(module), flat(plain), rtol=1e-5, atol=1e-7)


class PlainAlgorithm2:
    """Algorithm 2 written down again, in float64, one coordinate set at a time."""

    def __init__(self, dimension, lr, beta1, beta2, eps):
        self.m, self.v = np.zeros(dimension), np.zeros(dimension)
        self.u, self.i = np.zeros(dimension), 0
        self.lr, self.beta1, self.beta2, self.eps = lr, beta1, beta2, eps

    def largest(self, count):
        order = sorted(range(len(self.u)), key=lambda k: (-abs(self.u[k]), k))
        return sorted(order[:count])

    def step(self, w, g, coordinates):
        self.i += 1
        self.m = self.beta1 * self.m + (1 - self.beta1) * g
        self.v = self.beta2 * self.v + (1 - self.beta2) * g * g
        m_hat = self.m / (1 - self.beta1**self.i)
        v_hat = self.v / (1 - self.beta2**self.i)
        self.u = self.lr * m_hat / (np.sqrt(v_hat) + self.eps)
        w = w.copy()
        for k in coordinates:
            w[k] -= self.u[k]
        return w


def test_below_gamma_1_it_is_algorithm_2():
    generator = np.random.default_rng(3)
    dimension, gamma, lr = 200, 0.1, 1e-2
    tensor = torch.from_numpy(generator.normal(size=dimension).astype(np.float32)).requires_grad_()
    ours = ams.torch.GradientGuidedAdam([("w", tensor)], lr=lr, gamma=gamma, seed=11)
    plain = PlainAlgorithm2(dimension, lr, 0.9, 0.999, 1e-8)
    w = tensor.detach().numpy().astype(np.float64)
    scale = generator.uniform(0.01, 10, size=dimension)
    for phase in range(5):
        chosen = ours.begin_phase()
        if phase == 0:
            coordinates = chosen.indices.tolist()
            assert len(set(coordinates)) == 20
        else:
            coordinates = plain.largest(20)
            assert chosen.indices.tolist() == coordinates
        before = tensor.detach().clone()
        for _ in range(4):
            gradient = generator.normal(size=dimension) * scale + 0.3
            ours.zero_grad()
            tensor.backward(torch.from_numpy(gradient.astype(np.float32)))
            ours.step()
            w = plain.step(w, gradient.astype(np.float32).astype(np.float64), coordinates)
        assert np.allclose(tensor.detach().numpy(), w, rtol=1e-5, atol=1e-6)
        assert np.allclose(ours.update.numpy(), plain.u, rtol=1e-4, atol=1e-8)
        moved = (tensor.detach() != before).nonzero().flatten().tolist()
        assert moved == coordinates


@pytest.mark.parametrize("strategy", ams.selection_strategy_names())
def test_every_strategy_moves_what_it_chose_and_computes_no_other_gradient(strategy):
    module = SmallNet().eval()
    optimizer = ams.torch.GradientGuidedAdam(module, gamma=0.05, strategy=strategy, lr=1e-2)
    for phase in range(2):
        coordinates = optimizer.begin_phase().indices
        before = flat(module)
        run(module, optimizer, range(3 * phase, 3 * phase + 3))
        moved = (flat(module) != before).nonzero().flatten().numpy()
        assert np.isin(moved, coordinates).all() and len(moved) > 0.5 * len(coordinates)
        for spec, parameter in zip(
            optimizer.vector.manifest.tensors, module.parameters(), strict=True
        ):
            inside = (coordinates >= spec.offset) & (coordinates < spec.offset + spec.size)
            if not (strategy in ("random", "full") or strategy.endswith("gradient_guided")):
                assert parameter.requires_grad == inside.any()
                assert (parameter.grad is not None) == inside.any()
            else:
                assert parameter.requires_grad


def test_the_strategy_may_change_from_phase_to_phase():
    module = SmallNet().eval()
    joined = "normalization+gradient_guided"
    optimizer = ams.torch.GradientGuidedAdam(module, gamma=0.05, strategy=joined, lr=1e-2)
    chosen = []
    for phase, strategy in enumerate([joined, joined, "random", joined]):
        optimizer.param_groups[0]["strategy"] = strategy
        chosen.append(optimizer.begin_phase())
        run(module, optimizer, range(3 * phase, 3 * phase + 3))
    assert chosen[0] != chosen[1]  # random, and then by moments
    assert len(chosen[2]) < len(chosen[1]) == len(chosen[3])
    state, expected = optimizer.state_dict(), optimizer.begin_phase()
    again = ams.torch.GradientGuidedAdam(module, gamma=0.05, strategy=joined, lr=1e-2)
    again.load_state_dict(state)
    assert again.begin_phase() == expected


@pytest.mark.parametrize("empty_phases", [0, 1, 3])
def test_a_phase_without_a_step_is_begun_anew(empty_phases):
    module = SmallNet().eval()
    joined = "normalization+gradient_guided"
    optimizer = ams.torch.GradientGuidedAdam(module, gamma=0.05, strategy=joined, lr=1e-2)
    first = optimizer.begin_phase()
    for _ in range(empty_phases):
        assert optimizer.begin_phase() == first
    run(module, optimizer, range(3))
    second = optimizer.begin_phase()
    assert second != first  # by moments, and not what was drawn at random


def test_it_agrees_with_core_on_every_bit():
    module = SmallNet().eval()
    ours = ams.torch.GradientGuidedAdam(module, lr=2e-3, gamma=0.1, seed=4)
    core = ams.GradientGuidedAdam(ours.vector.manifest, learning_rate=2e-3, gamma=0.1, seed=4)
    values = ours.vector.copy()
    for phase in range(3):
        assert ours.begin_phase() == core.begin_phase()
        for k in range(3):
            ours.zero_grad()
            loss_of(module, 5 * phase + k).backward()
            core.step(values, ours.vector.gradients.numpy().copy())
            ours.step()
        assert np.array_equal(ours.vector.copy(), values)


def test_state_dict_goes_on_exactly():
    module = SmallNet().eval()
    optimizer = ams.torch.GradientGuidedAdam(module, lr=1e-2, gamma=0.1, seed=7)
    for phase in range(2):
        optimizer.begin_phase()
        run(module, optimizer, range(4 * phase, 4 * phase + 4))
    file = io.BytesIO()
    torch.save({"model": module.state_dict(), "optimizer": optimizer.state_dict()}, file)

    optimizer.begin_phase()
    expected_losses = run(module, optimizer, range(20, 24))
    expected_coordinates = optimizer.begin_phase()
    run(module, optimizer, range(30, 32))

    file.seek(0)
    saved = torch.load(file, weights_only=True)
    other = SmallNet(seed=1).eval()
    other.load_state_dict(saved["model"])
    resumed = ams.torch.GradientGuidedAdam(other, lr=5, gamma=0.5, strategy="random", seed=1)
    resumed.load_state_dict(saved["optimizer"])
    assert resumed.param_groups[0]["lr"] == 1e-2
    resumed.begin_phase()
    assert run(other, resumed, range(20, 24)) == expected_losses
    assert resumed.begin_phase() == expected_coordinates
    run(other, resumed, range(30, 32))
    assert torch.equal(flat(other), flat(module))


def test_state_dict_goes_on_exactly_within_a_phase_and_before_the_first():
    for phases in (0, 1):
        module, other = SmallNet().eval(), SmallNet().eval()
        optimizer = ams.torch.GradientGuidedAdam(module, strategy="last_layers", gamma=0.03)
        for _ in range(phases):
            optimizer.begin_phase()
            run(module, optimizer, range(2))
        resumed = ams.torch.GradientGuidedAdam(other)
        resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        other.load_state_dict(module.state_dict())
        assert resumed.coordinates == optimizer.coordinates
        if phases == 0:
            with pytest.raises(ams.InvalidArgumentError, match="begin_phase"):
                resumed.step()
            optimizer.begin_phase()
            resumed.begin_phase()
        run(module, optimizer, range(5, 8))
        run(other, resumed, range(5, 8))
        assert torch.equal(flat(other), flat(module))
        assert not other.stem[0].weight.requires_grad


RESUME = """
import sys, torch, ams.torch
sys.path.insert(0, sys.argv[2])
from test_torch_gradient_guided_adam import SmallNet, run, flat
saved = torch.load(sys.argv[1], weights_only=True)
module = SmallNet(seed=2).eval()
module.load_state_dict(saved["model"])
optimizer = ams.torch.GradientGuidedAdam(module)
optimizer.load_state_dict(saved["optimizer"])
optimizer.begin_phase()
run(module, optimizer, range(3))
torch.save(flat(module), sys.argv[1])
"""


def test_state_dict_goes_on_exactly_in_another_process(tmp_path):
    module = SmallNet().eval()
    optimizer = ams.torch.GradientGuidedAdam(module, lr=1e-2, gamma=0.1)
    optimizer.begin_phase()
    run(module, optimizer, range(3))
    path = tmp_path / "saved.pt"
    torch.save({"model": module.state_dict(), "optimizer": optimizer.state_dict()}, path)
    optimizer.begin_phase()
    run(module, optimizer, range(3))
    folder = __file__.rsplit("/", 1)[0]
    subprocess.run([sys.executable, "-c", RESUME, str(path), folder], check=True)
    # Not bit for bit: libraries choose their kernels by where tensors lie, and that may differ.
    resumed = torch.load(path, weights_only=True)
    torch.testing.assert_close(resumed, flat(module), rtol=1e-5, atol=1e-6)


def test_states_that_do_not_fit_change_nothing():
    module = SmallNet().eval()
    optimizer = ams.torch.GradientGuidedAdam(module, lr=1e-2)
    optimizer.begin_phase()
    run(module, optimizer, range(2))
    good = optimizer.state_dict()
    with pytest.raises(ams.ManifestMismatchError):
        ams.torch.GradientGuidedAdam(SmallNet(classes=5)).load_state_dict(good)
    bad_moment = copy.deepcopy(good)
    bad_moment["state"]["second_moment"][3] = -1
    bad_size = copy.deepcopy(good)
    bad_size["state"]["first_moment"] = torch.zeros(3)
    bad_coordinates = copy.deepcopy(good)
    bad_coordinates["state"]["coordinates"] = torch.tensor([5, 4])
    bad_rate = copy.deepcopy(good)
    bad_rate["param_groups"][0]["lr"] = -1
    no_params = copy.deepcopy(good)
    del no_params["param_groups"][0]["params"]
    other_params = copy.deepcopy(good)
    other_params["param_groups"][0]["params"] = [0]
    adam = torch.optim.Adam(SmallNet().parameters()).state_dict()
    required = [p.requires_grad for p in module.parameters()]
    bad_states = (bad_moment, bad_size, bad_coordinates, bad_rate, no_params, other_params)
    for bad in (*bad_states, adam, {}):
        with pytest.raises(ams.InvalidArgumentError):
            optimizer.load_state_dict(bad)
        assert [p.requires_grad for p in module.parameters()] == required
    again = optimizer.state_dict()
    assert again["param_groups"] == good["param_groups"]
    assert torch.equal(again["state"]["first_moment"], good["state"]["first_moment"])
    assert again["state"]["step_count"] == 2


def test_learning_rate_schedulers_work():
    module, plain = SmallNet().eval(), SmallNet().eval()
    ours = ams.torch.GradientGuidedAdam(module, lr=1e-2, gamma=1)
    theirs = torch.optim.Adam(plain.parameters(), lr=1e-2)
    schedulers = [
        torch.optim.lr_scheduler.StepLR(o, step_size=2, gamma=0.1) for o in (ours, theirs)
    ]
    ours.begin_phase()
    for step in range(5):
        run(module, ours, [step])
        run(plain, theirs, [step])
        for scheduler in schedulers:
            scheduler.step()
    assert ours.param_groups[0]["lr"] == pytest.approx(1e-4)
    assert torch.allclose(flat(module), flat(plain), rtol=1e-5, atol=1e-7)


def test_a_closure_and_dropped_gradients():
    module = SmallNet().eval()
    optimizer = ams.torch.GradientGuidedAdam(module, lr=1e-2)
    optimizer.begin_phase()

    def closure():
        module.zero_grad(set_to_none=True)  # as other code may
        loss = loss_of(module, 1)
        loss.backward()
        return loss

    losses = [optimizer.step(closure).item() for _ in range(8)]
    assert losses[-1] < losses[0]
    optimizer.zero_grad(set_to_none=True)
    assert module.head.weight.grad is not None
    assert optimizer.vector.gradients.abs().sum() == 0
    before = flat(module)
    module.head.weight.grad[0] = float("nan")
    with pytest.raises(ams.InvalidArgumentError, match="gradient"):
        optimizer.step()
    assert torch.equal(flat(module), before)


def test_arguments_that_are_refused():
    module = SmallNet()
    groups = [{"params": module.stem.parameters()}, {"params": module.head.parameters(), "lr": 1}]
    with pytest.raises(ams.InvalidArgumentError, match="one parameter group"):
        ams.torch.GradientGuidedAdam(groups)
    with pytest.raises(ams.InvalidArgumentError, match=r"module.named_parameters\(\)"):
        ams.torch.GradientGuidedAdam(module.parameters())
    for bad in (
        {"lr": 0},
        {"betas": (1, 0.9)},
        {"betas": 0.9},
        {"eps": 0},
        {"gamma": 0},
        {"strategy": "best"},
    ):
        with pytest.raises(ams.InvalidArgumentError, match="allowed"):
            ams.torch.GradientGuidedAdam(module, **bad)
    storages = {p.untyped_storage().data_ptr() for p in module.parameters()}
    assert len(storages) == len(list(module.parameters()))  # nothing was done to the module
    optimizer = ams.torch.GradientGuidedAdam(module.named_parameters())
    with pytest.raises(ams.InvalidArgumentError, match="one parameter group"):
        optimizer.add_param_group({"params": [torch.zeros(1, requires_grad=True)]})
    with pytest.raises(TypeError, match="state_dict"):
        copy.deepcopy(optimizer)
    assert isinstance(optimizer, torch.optim.Optimizer)


def test_a_device_that_is_not_there_is_named():
    moments = np.zeros(3, np.float32), np.zeros(3, np.float32)
    for device in ("gpu", "cuda:99", torch.device("cuda:99")):
        with pytest.raises(ams.UnavailableError, match="'(gpu|cuda:99)' is not available"):
            ams.torch.TensorAdam(*moments, 0, device=device)
    with pytest.raises(ams.InvalidArgumentError, match="found 3"):
        ams.torch.TensorAdam(*moments, 0, device=3)
    assert ams.torch.TensorAdam(*moments, 0, device=torch.device("cpu")).state()["step_count"] == 0
