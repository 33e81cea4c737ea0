import numpy as np
import pytest
from torch_support import SmallNet, torch

import ams
import ams.torch


def forward_backward(module):
    module(torch.ones(2, 3, 16, 16)).square().sum().backward()


def test_parameters_and_gradients_are_views_of_flat_tensors():
    module = SmallNet()
    before = {name: p.detach().clone() for name, p in module.named_parameters()}
    vector = ams.torch.ParameterVector(module)
    assert vector.manifest.dimension == sum(p.numel() for p in module.parameters())
    assert [t.name for t in vector.manifest.tensors] == list(before)
    assert vector.values.dtype == torch.float32 and vector.values.dim() == 1

    forward_backward(module)
    values, gradients = vector.values, vector.gradients
    assert gradients.abs().sum() > 0
    for spec, (name, parameter) in zip(
        vector.manifest.tensors, module.named_parameters(), strict=True
    ):
        assert torch.equal(parameter, before[name])
        place = slice(spec.offset, spec.offset + spec.size)
        assert parameter.data_ptr() == values[place].data_ptr()
        assert parameter.grad.data_ptr() == gradients[place].data_ptr()
        assert torch.equal(parameter.grad.flatten(), gradients[place])
    with torch.no_grad():
        module.head.bias.fill_(7)
    assert values[-4:].tolist() == [7] * 4


def test_they_stay_views_over_steps_of_other_optimisers_and_dropped_gradients():
    module = SmallNet()
    vector = ams.torch.ParameterVector(module)
    sgd = torch.optim.SGD(module.parameters(), lr=0.1)
    for _ in range(3):
        sgd.zero_grad(set_to_none=True)
        forward_backward(module)
        sgd.step()
        vector.gather_gradients()
        assert module.head.weight.grad.data_ptr() > 0
        offset = vector.manifest.tensors[-2].offset
        assert module.head.weight.grad.data_ptr() == vector.gradients[offset:].data_ptr()
        assert module.head.weight.data_ptr() == vector.values[offset:].data_ptr()
        assert torch.equal(
            vector.gradients[offset : offset + 32], module.head.weight.grad.flatten()
        )
    module.load_state_dict(SmallNet(seed=9).state_dict())
    assert torch.equal(
        vector.values, torch.cat([p.flatten() for p in SmallNet(seed=9).parameters()])
    )


def test_load_and_copy():
    vector = ams.torch.ParameterVector(SmallNet())
    values = np.arange(vector.manifest.dimension, dtype=np.float32)
    vector.load(values)
    copied = vector.copy()
    assert copied.dtype == np.float32 and np.array_equal(copied, values)
    copied[:] = 0
    assert np.array_equal(vector.copy(), values)
    vector.load(torch.from_numpy(values) * 2)
    assert np.array_equal(vector.values.numpy(), values * 2)
    state = ams.ModelState(vector.manifest, vector.copy())
    vector.load(state.values)
    for bad in (values[:-1], values.astype(np.float64), values[None], torch.zeros(3), "x"):
        with pytest.raises(ams.InvalidArgumentError):
            vector.load(bad)
    assert np.array_equal(vector.values.numpy(), values * 2)


def test_gradients_that_are_not_required_are_not_computed():
    module = SmallNet()
    vector = ams.torch.ParameterVector(module)
    flags = [t.name.startswith("head") for t in vector.manifest.tensors]
    vector.set_required_gradients(flags)
    forward_backward(module)
    assert module.stem[0].weight.grad is None and not module.stem[0].weight.requires_grad
    assert module.head.weight.grad is not None
    assert vector.gradients[: vector.manifest.tensors[-2].offset].abs().sum() == 0
    with pytest.raises(ams.InvalidArgumentError):
        vector.set_required_gradients([True])


def test_statistics_follow_the_parameters():
    module = SmallNet()
    vector = ams.torch.ParameterVector(module, with_statistics=True)
    kinds = [t.kind for t in vector.manifest.tensors]
    assert kinds == ["parameter"] * (len(kinds) - 2) + ["statistic"] * 2
    before = vector.copy()
    module.train()(torch.randn(4, 3, 16, 16) + 3)
    changed = vector.copy() != before
    assert changed[-16:].all() and not changed[:-16].any()


def test_pairs_networks_and_what_is_refused():
    tensor = torch.zeros(3, requires_grad=True)
    frozen = torch.zeros(5)
    vector = ams.torch.ParameterVector([("a", tensor), ("b", frozen), ("c", tensor)])
    assert [(t.name, t.size) for t in vector.manifest.tensors] == [("a", 3)]
    network = ams.torch.open_network("edanet", num_classes=5)
    assert ams.torch.ParameterVector(network).manifest.tensors[0].shape[1] == 3
    for bad in (
        [],
        [("b", frozen)],
        [tensor],
        [("d", torch.zeros(2, dtype=torch.float64, requires_grad=True))],
        torch.nn.ReLU(),
    ):
        with pytest.raises(ams.InvalidArgumentError):
            ams.torch.ParameterVector(bad)
    with pytest.raises(ams.InvalidArgumentError, match="with_statistics"):
        ams.torch.ParameterVector([("a", tensor)], with_statistics=True)
    with pytest.raises(
        ams.InvalidArgumentError, match="a module, or .name, tensor. pairs; found 5"
    ):
        ams.torch.ParameterVector(5)
    with pytest.raises(ams.InvalidArgumentError, match="of type int; pass the module"):
        ams.torch.GradientGuidedAdam(5)


def test_a_module_that_was_moved_is_noticed():
    module = SmallNet()
    vector = ams.torch.ParameterVector(module)
    module.double()
    with pytest.raises(ams.InvalidArgumentError, match="'stem.0.weight' is no view"):
        vector.gather_gradients()
