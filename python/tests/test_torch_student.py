import copy

import numpy as np
import pytest
from torch_support import SmallNet, torch

import ams
import ams.torch

F = torch.nn.functional


def batches(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(4, 3, 16, 16, generator=generator) for _ in range(count)]


def teacher(frames):
    """Brightness at half the size, in four classes."""
    return (F.avg_pool2d(frames, 2).mean(dim=1) * 4).long().clamp(0, 3)


def pair(**options):
    model = SmallNet()
    device = ams.torch.DeviceStudent(copy.deepcopy(model))
    options = {"weight_multiplier": 1, "profile": "reference", **options}
    server = ams.torch.ServerStudent(model, lr=1e-2, gamma=0.1, **options)
    return model, server, device, lambda frames: F.cross_entropy(model(frames), teacher(frames))


def test_a_first_update_on_ones_own_model():
    model, server, device, loss = pair()
    assert server.version == device.version and server.manifest.digest == device.manifest.digest
    test = torch.rand(8, 3, 16, 16, generator=torch.Generator().manual_seed(99))
    before = float(F.cross_entropy(device(test), teacher(test)))
    size = 0
    for phase in range(6):
        update = server.train(loss, batches(20, seed=phase))
        info = device.apply(update)
        assert info.coordinates == round(0.1 * server.manifest.dimension)
        assert device.version == server.version and device.version.number == phase + 1
        size = max(size, len(update))
        assert torch.equal(device(test), model(test).detach())
    assert size < 0.1 * 4 * server.manifest.dimension
    assert float(F.cross_entropy(device(test), teacher(test))) < 0.8 * before


def test_after_training_a_group_the_module_still_has_all_of_its_tensors():
    model, server, device, loss = pair(strategy="normalization")
    update = server.train(loss, batches(3))
    device.apply(update)
    assert all(parameter.requires_grad for parameter in model.parameters())
    late = ams.torch.DeviceStudent(copy.deepcopy(model))
    assert late.manifest.digest == server.manifest.digest
    late.restore(server.snapshot())
    assert late.version == device.version


def test_snapshots_help_devices_that_begin_later():
    model, server, device, loss = pair()
    updates = [server.train(loss, batches(3)) for _ in range(2)]
    with pytest.raises(ams.BaseVersionMismatchError):
        device.apply(updates[1])
    assert device.version.number == 0
    device.restore(server.snapshot())
    assert device.version == server.version
    device.apply(server.train(loss, batches(3)))
    x = batches(1)[0]
    assert torch.equal(device(x), model(x).detach())
    with pytest.raises(ams.Error):
        device.apply(b"garbage")
    with pytest.raises(ams.Error):
        device.restore(updates[0])
    assert torch.equal(device(x), model(x).detach())


def test_a_phase_that_fails_leaves_what_the_device_holds():
    model, server, device, loss = pair()
    device.apply(server.train(loss, batches(2)))
    held = [p.detach().clone() for p in model.parameters()]

    def failing(frames):
        if frames is stop:
            raise KeyboardInterrupt
        return loss(frames)

    frames = batches(3)
    stop = frames[2]
    with pytest.raises(KeyboardInterrupt):
        server.train(failing, frames)
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), held, strict=True))
    device.apply(server.train(loss, batches(2)))
    assert device.version == server.version


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda value: value.repeat(3), r"mini-batch 2 is a tensor \[3\]; allowed are a scalar"),
        (torch.Tensor.tolist, "mini-batch 2 is a float; allowed are a scalar"),
        (lambda value: value * float("nan"), "mini-batch 2 is not finite; lower the learning rate"),
        (torch.Tensor.detach, "mini-batch 2 has no gradient; compute it from the module"),
    ],
)
def test_a_loss_that_cannot_be_trained_on_is_refused(wrong, message):
    model, server, device, loss = pair()
    device.apply(server.train(loss, batches(2)))
    held = [p.detach().clone() for p in model.parameters()]
    frames = batches(2)
    with pytest.raises(ams.InvalidArgumentError, match=message):
        server.train(lambda x: wrong(loss(x)) if x is frames[1] else loss(x), frames)
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), held, strict=True))
    device.apply(server.train(loss, batches(2)))
    assert device.version == server.version


@pytest.mark.parametrize("strategy", ["gradient_guided", "normalization_and_head"])
def test_a_loss_over_another_module_is_refused(strategy):
    model, server, device, loss = pair(strategy=strategy)
    other = copy.deepcopy(model)
    for wrong in (
        lambda x: F.cross_entropy(other(x), teacher(x)),
        lambda x: torch.zeros((), requires_grad=True) * loss(x).detach(),
    ):
        with pytest.raises(ams.InvalidArgumentError, match="no gradient .*not of a copy.deepcopy"):
            server.train(wrong, batches(2))
    assert server.version.number == 0
    assert all(p.requires_grad for p in model.parameters())
    assert server.module is model
    frames = batches(2)
    device.apply(server.train(lambda x: F.cross_entropy(server.module(x), teacher(x)), frames))
    # Some tensors may do without: here, all but the head.
    def loss_of_head(x):
        with torch.no_grad():
            features = model.stem(x)
        return F.cross_entropy(model.head(features), teacher(x))

    device.apply(server.train(loss_of_head, frames))
    # And a gradient of zeros is one.
    device.apply(server.train(lambda x: 0 * loss(x), frames))
    assert device.version == server.version and server.version.number == 3


def test_an_update_of_another_network_is_refused_with_a_way_to_compare():
    _, server, _, loss = pair()
    device = ams.torch.DeviceStudent(SmallNet(classes=5))
    how = r"10 tensors of 885 values .*server\.manifest\.difference\(device\.manifest\)"
    with pytest.raises(ams.ManifestMismatchError, match=how):
        device.apply(server.train(loss, batches(1)))
    with pytest.raises(ams.ManifestMismatchError, match=how):
        device.restore(server.snapshot())
    text = server.manifest.difference(device.manifest, "the server", "the device")
    assert "'head.weight' is [4, 8, 1, 1] in the server and [5, 8, 1, 1] in the device" in text


def test_a_phase_needs_a_batch_to_learn_from():
    model, server, device, loss = pair()
    held = [p.detach().clone() for p in model.parameters()]
    for function, frames in ((loss, []), (loss, iter(())), (lambda x: None, batches(2))):
        with pytest.raises(ams.InvalidArgumentError, match="a phase needs at least one batch"):
            server.train(function, frames)
    assert server.version.number == 0
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), held, strict=True))
    assert all(p.requires_grad for p in model.parameters())
    frames = batches(2)
    device.apply(server.train(lambda x: None if x is frames[0] else loss(x), frames))
    assert device.version == server.version and server.version.number == 1
    assert server.optimizer.state_dict()["state"]["step_count"] == 1


def test_normalisation_layers_of_a_file_count_whatever_their_kind(tmp_path):
    layers = (torch.nn.Conv2d(3, 8, 3), torch.nn.GroupNorm(2, 8), torch.nn.Conv2d(8, 4, 1))
    for name, kept, strategy in (
        ("with.pt", layers, "normalization_and_head"),
        ("without.pt", layers[::2], "full"),
    ):
        torch.jit.script(torch.nn.Sequential(*kept)).save(str(tmp_path / name))
        network = ams.torch.open_network(tmp_path / name, num_classes=4)
        server = ams.torch.ServerStudent(network)
        assert server.optimizer.param_groups[0]["strategy"] == strategy
        update = server.train(lambda x: network(x).square().mean(), batches(1))
        assert ams.inspect_update(update).profile == "compact"


def test_the_defaults_are_the_recommended_settings():
    def group(model, **options):
        return ams.torch.ServerStudent(model, **options).optimizer.param_groups[0]

    model = SmallNet()
    server = ams.torch.ServerStudent(model)
    found = server.optimizer.param_groups[0]
    assert (found["strategy"], found["lr"]) == ("normalization_and_head", 0.002)
    names = ("weight_multiplier", "normalization_multiplier", "head_multiplier")
    assert [found[name] for name in names] == [1, 5, 4]
    update = server.train(lambda x: F.cross_entropy(model(x), teacher(x)), batches(1))
    assert ams.inspect_update(update).profile == "compact"
    # Without normalisation layers that train, all of it.
    plain = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Linear(3, 2))
    assert group(plain)["strategy"] == "full"
    frozen = SmallNet()
    for layer in frozen.modules():
        if "Norm" in type(layer).__name__:
            layer.requires_grad_(False)
    assert group(frozen)["strategy"] == "full"
    # gamma alone asks for the fraction that moved most.
    found = group(SmallNet(), gamma=0.05, head_multiplier=2)
    assert found["strategy"] == "gradient_guided"
    assert [found[name] for name in names] == [16, 16, 2]


def test_modes_and_arguments():
    model, server, device, loss = pair(strategy="full")
    model.train()
    mean = model.stem[1].running_mean.clone()
    device.apply(server.train(loss, batches(2)))
    assert torch.equal(model.stem[1].running_mean, mean) and not model.training
    replica = SmallNet()
    ams.torch.DeviceStudent(replica)
    assert not any(p.requires_grad for p in replica.parameters()) and not replica.training
    assert isinstance(server.optimizer, torch.optim.Optimizer)
    assert np.isfinite(server.optimizer.vector.copy()).all()
    with pytest.raises(ams.InvalidArgumentError):
        ams.torch.ServerStudent(SmallNet(), gamma=2)
    with pytest.raises(ams.InvalidArgumentError):
        ams.torch.ServerStudent(SmallNet(), profile="tiny")
    untouched = SmallNet()
    places = [p.data_ptr() for p in untouched.parameters()]
    with pytest.raises(ams.InvalidArgumentError, match="zstd_level"):
        ams.torch.ServerStudent(untouched, zstd_level=99)
    assert places == [p.data_ptr() for p in untouched.parameters()]
    unknown = r"ServerStudent\(\) has no keyword argument 'speed'"
    allowed = "; allowed are strategy, gamma, lr, .*step_exponent, betas"
    with pytest.raises(TypeError, match=unknown + allowed):
        ams.torch.ServerStudent(SmallNet(), speed=2)


def test_a_student_goes_on_from_its_state(tmp_path):
    model, server, device, loss = pair()
    for phase in range(2):
        device.apply(server.train(loss, batches(3, seed=phase)))
    torch.save(server.state_dict(), tmp_path / "student.pt")

    other, again, _, other_loss = pair()
    again.load_state_dict(torch.load(tmp_path / "student.pt", weights_only=False))
    assert again.version == server.version == device.version
    device.apply(again.train(other_loss, batches(3, seed=2)))
    server.train(loss, batches(3, seed=2))
    # Equal but for kernels that libraries choose by where tensors lie.
    np.testing.assert_allclose(
        ams.decode_snapshot(again.snapshot(), again.manifest).values,
        ams.decode_snapshot(server.snapshot(), server.manifest).values,
        rtol=1e-3,
        atol=1e-5,
    )
    assert device.version == again.version

    version = again.version
    for state, error in (
        ({"held": b"", "optimizer": {}}, ams.Error),
        ({"held": again.snapshot()}, ams.InvalidArgumentError),
        ({**again.state_dict(), "held": again.snapshot()[:-3]}, ams.DigestMismatchError),
        ({**again.state_dict(), "optimizer": {"state": 1}}, Exception),
    ):
        with pytest.raises(error):
            again.load_state_dict(state)
        assert again.version == version
    device.apply(again.train(other_loss, batches(3, seed=3)))
    assert device.version == again.version
