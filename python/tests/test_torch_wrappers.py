"""torch.compile, DataParallel and their like around a module, or around parts of it."""

import copy

import pytest
from torch_support import SmallNet, torch

import ams
import ams.torch

nn, F = torch.nn, torch.nn.functional


def compiled(module):
    return torch.compile(module, backend="eager")


def compiled_part(module):
    module.stem = compiled(module.stem)
    module.middle[0] = nn.DataParallel(module.middle[0])
    return module


WRAPPERS = {
    "torch.compile": compiled,
    "DataParallel": nn.DataParallel,
    "AveragedModel": torch.optim.swa_utils.AveragedModel,
    "both": lambda m: nn.DataParallel(compiled(m)),
    "parts": compiled_part,
    "parts of a wrapped one": lambda m: nn.DataParallel(compiled_part(m)),
}


@pytest.mark.parametrize("wrap", [pytest.param(w, id=name) for name, w in WRAPPERS.items()])
def test_wrapped_modules_have_the_manifest_of_what_they_wrap(wrap):
    plain, wrapped = SmallNet(), wrap(SmallNet())
    wanted = ams.torch.ParameterVector(plain, with_statistics=True).manifest
    vector = ams.torch.ParameterVector(wrapped, with_statistics=True)
    assert vector.manifest == wanted
    assert [t.role for t in vector.manifest.tensors] == [t.role for t in wanted.tensors]


def test_a_wrapped_server_teaches_a_device_that_is_not():
    model = SmallNet()
    device = ams.torch.DeviceStudent(copy.deepcopy(model))
    wrapped = nn.DataParallel(compiled(model))
    server = ams.torch.ServerStudent(wrapped, lr=1e-2)
    x = torch.rand(4, 3, 16, 16)

    def loss(batch):
        outputs = wrapped(batch)
        return F.cross_entropy(outputs, torch.full((4, *outputs.shape[2:]), 1))

    device.apply(server.train(loss, [x] * 2))
    assert device.version == server.version
    assert torch.equal(device(x), model(x).detach())
    model.head = nn.Conv2d(8, 4, 1)
    with pytest.raises(ams.InvalidArgumentError, match="replaced are 'head.weight', 'head.bias'"):
        server.train(loss, [x])


def test_an_attribute_of_ones_own_with_such_a_name_is_no_wrapper():
    class Holder(nn.Module):
        def __init__(self):
            super().__init__()
            self.module = nn.Linear(2, 2)

    names = [t.name for t in ams.torch.ParameterVector(Holder()).manifest.tensors]
    assert names == ["module.weight", "module.bias"]


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (lambda: nn.Sequential(nn.LazyLinear(3)), "'0.weight' has no shape yet: run the module"),
        (lambda: nn.Linear(2, 2, device="meta"), "'weight' is on the meta device .*to_empty"),
    ],
)
def test_parameters_without_values_are_refused(module, message):
    for make in (
        ams.torch.ParameterVector,
        ams.torch.ServerStudent,
        ams.torch.DeviceStudent,
        lambda m: ams.torch.ModuleTrainer(m, loss=F.mse_loss),
    ):
        with pytest.raises(ams.InvalidArgumentError, match=message):
            make(module())
