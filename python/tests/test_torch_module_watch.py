"""Modules that are changed after what trains or runs them was made: always one clear error."""

import copy

import pytest
from torch_support import SmallNet, torch, training_job

import ams
import ams.torch

nn, F = torch.nn, torch.nn.functional


def frames(seed=0):
    return torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(seed))


def loss_of(module):
    def loss(batch):
        outputs = module(batch)
        return F.cross_entropy(outputs, torch.full((4, *outputs.shape[2:]), 1))

    return loss


def prune_stem(module):
    from torch.nn.utils import prune

    prune.l1_unstructured(module.stem[0], "weight", amount=0.5)


def fuse_stem(module):
    module.eval()
    module.stem[0] = torch.nn.utils.fuse_conv_bn_eval(module.stem[0], module.stem[1])
    module.stem[1] = nn.Identity()


def swap_average(module):
    average = torch.optim.swa_utils.AveragedModel(SmallNet(seed=9))
    for parameter, other in zip(module.parameters(), average.parameters(), strict=True):
        parameter.data = other.data


def tie(module):
    module.stem[1].bias = module.stem[1].weight


def run_in_training_mode(module):
    module.train()(frames())
    module.eval()


def other_values():
    return SmallNet(seed=9).state_dict()


# What people do to a module: (change, what the error says). All of these also on the device.
TENSORS = {
    "load_state_dict(assign=True)": (
        lambda m: m.load_state_dict(other_values(), assign=True),
        r"replaced are 'stem.0.weight', 'stem.0.bias', 'stem.1.weight' and 7 more "
        r"\(load_state_dict\(assign=True\)",
    ),
    "another head": (
        lambda m: setattr(m, "head", nn.Conv2d(8, 4, 1)),
        "replaced are 'head.weight', 'head.bias' .*a new layer or head",
    ),
    "a head of another kind": (
        lambda m: setattr(m, "head", nn.Sequential(nn.Conv2d(8, 4, 1))),
        "gone are 'head.weight', 'head.bias' and new are 'head.0.bias', 'head.0.weight'",
    ),
    "a new layer": (
        lambda m: m.stem.append(nn.Conv2d(8, 8, 1)),
        "new are 'stem.3.bias', 'stem.3.weight'",
    ),
    "a layer removed": (
        lambda m: setattr(m, "middle", nn.Identity()),
        "gone are 'middle.0.weight', 'middle.0.bias', 'middle.1.weight' and 1 more",
    ),
    "tied weights": (tie, "replaced are 'stem.1.bias' .*tied weights"),
    "weight_norm": (
        lambda m: nn.utils.parametrizations.weight_norm(m.head),
        "gone are 'head.weight' and new are 'head.parametrizations.weight.original0'",
    ),
    "pruning": (prune_stem, "gone are 'stem.0.weight' and new are 'stem.0.weight_orig'"),
    "fused layers": (
        fuse_stem,
        "gone are 'stem.1.weight', 'stem.1.bias', 'stem.1.running_mean' and 1 more",
    ),
    "half()": (lambda m: m.half(), r"'stem.0.weight' is float16 \[8, 3, 3, 3\] on cpu"),
    "double()": (lambda m: m.double(), "'stem.0.weight' is float64"),
    "to(device)": (lambda m: m.to("meta"), "replaced are|on meta"),
    "to(memory_format)": (
        lambda m: m.to(memory_format=torch.channels_last),
        "'stem.0.weight' is float32 .* in memory of its own",
    ),
    "data of its own": (swap_average, "'stem.0.weight' is float32 .* in memory of its own"),
}
TRAINED_TENSORS = {
    **TENSORS,
    "frozen": (
        lambda m: m.stem.requires_grad_(False),
        "requires_grad is another one in 'stem.0.weight', 'stem.0.bias', 'stem.1.weight' and 1",
    ),
}
VALUES = {
    "load_state_dict()": (
        lambda m: m.load_state_dict(other_values()),
        "other values, which the other end does",
    ),
    "apply(initialise)": (
        lambda m: m.apply(lambda part: part.reset_parameters() if part is m.head else None),
        "other values, which the other end does not know, are in 'head.weight', 'head.bias'",
    ),
    "training mode": (
        run_in_training_mode,
        "batch-norm statistics moved, 'stem.1.running_mean', 'stem.1.running_var'",
    ),
}


def cases(table):
    return [pytest.param(*case, id=name) for name, case in table.items()]


@pytest.mark.parametrize(("change", "message"), cases({**TRAINED_TENSORS, **VALUES}))
def test_a_server_student_refuses_a_module_that_has_changed(change, message):
    model = SmallNet()
    server = ams.torch.ServerStudent(model, lr=1e-2)
    server.train(loss_of(model), [frames()])
    change(model)
    with pytest.raises(ams.InvalidArgumentError, match=message) as caught:
        server.train(loss_of(model), [frames()])
    assert "make a new ServerStudent" in str(caught.value)
    assert server.version.number == 1


@pytest.mark.parametrize(("change", "message"), cases({**TENSORS, **VALUES}))
def test_a_device_student_refuses_a_module_that_has_changed(change, message):
    model = SmallNet()
    replica = copy.deepcopy(model)
    server, device = ams.torch.ServerStudent(model), ams.torch.DeviceStudent(replica)
    update = server.train(loss_of(model), [frames()])
    change(replica)
    with pytest.raises(ams.InvalidArgumentError, match=message) as caught:
        device.apply(update)
    assert "make a new DeviceStudent" in str(caught.value)
    assert device.version.number == 0


@pytest.mark.parametrize(("change", "message"), cases(TENSORS))
def test_the_first_call_after_an_update_checks_the_module(change, message):
    replica = SmallNet()
    device = ams.torch.DeviceStudent(replica)
    change(replica)
    with pytest.raises(ams.InvalidArgumentError, match=message):
        device(frames())


@pytest.mark.parametrize(("change", "message"), cases(TRAINED_TENSORS))
def test_a_module_trainer_and_an_optimiser_refuse_a_module_that_has_changed(change, message):
    module = SmallNet()
    optimizer = ams.torch.GradientGuidedAdam(module)
    optimizer.begin_phase()
    optimizer.begin_phase()
    change(module)
    with pytest.raises(ams.InvalidArgumentError, match=message):
        optimizer.begin_phase()

    module = SmallNet()
    trainer = ams.torch.ModuleTrainer(module, loss=F.cross_entropy)
    state = ams.ModelState(trainer.manifest, trainer.vector.copy())
    samples = [(frames()[0], torch.full((8, 8), 1))] * 4
    _, job = training_job(state, samples)
    trainer.train(job)
    change(module)
    with pytest.raises(ams.InvalidArgumentError, match=message):
        trainer.train(job)


def test_statistics_that_no_update_carries_must_stay():
    module = SmallNet()
    trainer = ams.torch.ModuleTrainer(module, loss=F.cross_entropy)
    state = ams.ModelState(trainer.manifest, trainer.vector.copy())
    _, job = training_job(state, [(frames()[0], torch.full((8, 8), 1))] * 4)
    run_in_training_mode(module)
    with pytest.raises(ams.InvalidArgumentError, match="statistics moved, 'stem.1.running_mean'"):
        trainer.train(job)

    model = SmallNet()
    server = ams.torch.ServerStudent(model)

    def in_training_mode(batch):
        model.train()
        return loss_of(model)(batch)

    with pytest.raises(ams.InvalidArgumentError, match="ran in training mode"):
        server.train(in_training_mode, [frames()])


def test_a_change_within_a_phase_is_refused_at_its_end():
    model = SmallNet()
    server = ams.torch.ServerStudent(model)

    def changing(batch):
        value = loss_of(model)(batch)
        model.head = copy.deepcopy(model.head)
        return value

    with pytest.raises(ams.InvalidArgumentError, match="replaced are 'head.weight', 'head.bias'"):
        server.train(changing, [frames()])
    assert server.version.number == 0


def test_what_was_frozen_before_must_stay_frozen():
    model = SmallNet()
    model.stem.requires_grad_(False)
    server = ams.torch.ServerStudent(model)
    server.train(loss_of(model), [frames()])
    model.stem.requires_grad_(True)
    with pytest.raises(
        ams.InvalidArgumentError, match="requires_grad is another one in 'stem.0.weight'"
    ):
        server.train(loss_of(model), [frames()])
    model.stem.requires_grad_(False)
    server.train(loss_of(model), [frames()])


def test_what_changes_nothing_is_no_error():
    model = SmallNet()
    replica = copy.deepcopy(model)
    server, device = ams.torch.ServerStudent(model), ams.torch.DeviceStudent(replica)
    for _ in range(2):
        device.apply(server.train(loss_of(model), [frames()]))
        for module in (model, replica):
            module.float().to("cpu").zero_grad(set_to_none=True)
            module.load_state_dict(module.state_dict())
            module.share_memory()
        with torch.no_grad():
            assert torch.equal(model.train().eval()(frames()), device(frames()))
    scripted = torch.jit.script(SmallNet())
    server = ams.torch.ServerStudent(scripted)
    server.train(loss_of(scripted), [frames()])
    network = ams.torch.open_network("edanet", num_classes=4)
    server = ams.torch.ServerStudent(network)
    inputs = torch.rand(1, 3, 32, 32)
    server.train(lambda x: network(x).square().mean(), [inputs])
    server.train(lambda x: network(x).square().mean(), [inputs])


def test_weights_tied_before_stay_tied():
    def tied():
        torch.manual_seed(1)
        module = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))
        module[2].weight = module[0].weight
        return module

    model = tied()
    server, device = ams.torch.ServerStudent(model, lr=1e-2), ams.torch.DeviceStudent(tied())
    x = torch.ones(2, 4)
    for _ in range(2):
        device.apply(server.train(lambda batch: model(batch).square().sum(), [x]))
    assert torch.equal(model(x).detach(), device(x))


@pytest.mark.parametrize("first", ["server", "trainer", "optimiser"])
def test_one_module_for_both_ends_is_refused(first):
    make = {
        "server": ams.torch.ServerStudent,
        "trainer": lambda m: ams.torch.ModuleTrainer(m, loss=F.cross_entropy),
        "optimiser": lambda m: ams.torch.GradientGuidedAdam(m.named_parameters()),
    }[first]
    model = SmallNet()
    server = make(model)
    with pytest.raises(
        ams.InvalidArgumentError, match=r"already trained by .*copy\.deepcopy\(module"
    ):
        ams.torch.DeviceStudent(model)
    with pytest.raises(ams.InvalidArgumentError, match="already trained"):
        ams.torch.DeviceStudent(nn.Sequential(model))  # the same parameters
    assert all(parameter.requires_grad for parameter in model.parameters())
    ams.torch.DeviceStudent(copy.deepcopy(model))
    del server

    model = SmallNet()
    device = ams.torch.DeviceStudent(model)
    with pytest.raises(
        ams.InvalidArgumentError, match=r"already a DeviceStudent's.*copy\.deepcopy"
    ):
        make(model)
    assert device(frames()).shape == (4, 4, 8, 8)


def test_the_latest_student_of_a_module_has_it():
    model = SmallNet()
    earlier, later = ams.torch.ServerStudent(model), ams.torch.ServerStudent(model)
    later.train(loss_of(model), [frames()])
    with pytest.raises(ams.InvalidArgumentError, match="taken over by another ServerStudent"):
        earlier.train(loss_of(model), [frames()])
    later.train(loss_of(model), [frames()])
