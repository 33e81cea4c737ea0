"""Training and labelling on a GPU, each against the CPU. Skipped where torch sees no GPU.

A GPU adds in another order: what is compared is close, not equal. What must be equal is what both
ends of a session hold.
"""

import copy

import numpy as np
import pytest
from torch_support import SmallNet, brightness_labels, random_frame, torch, training_job

import ams
import ams.torch

if not torch.cuda.is_available():
    pytest.skip("torch sees no GPU here", allow_module_level=True)

F = torch.nn.functional
SIZE = {"num_classes": 4, "input_width": 64, "input_height": 32}
STUDENTS = ("edanet", "deeplabv3_mobilenetv2")


@pytest.fixture(autouse=True)
def whole_float32(monkeypatch):
    """By default convolutions on a GPU round what they multiply to 10 bits (TF32)."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


def labelled(count):
    frames = [random_frame(seed) for seed in range(count)]
    return [ams.torch.LabelledFrame(f, brightness_labels(f, 4)) for f in frames]


def assert_close(there, here, tolerance=1e-2):
    """Relative to the whole vector's length."""
    assert np.linalg.norm(here) > 0
    assert np.linalg.norm(there - here) < tolerance * np.linalg.norm(here)


def phase(trainer, start, **options):
    state = ams.ModelState(trainer.manifest, start)
    return training_job(state, labelled(6), learning_rate=1e-3, **options)


@pytest.mark.parametrize("network", STUDENTS)
@pytest.mark.parametrize("strategy", ["full", "normalization_and_head", "last_layers"])
def test_a_phase_has_the_gradients_of_the_cpu(network, strategy):
    spec = ams.torch.StudentSpec(network=network, **SIZE)
    start = ams.torch.load_student_values(spec).values
    results = {}
    for device in ("cpu", "cuda"):
        trainer = ams.torch.SegmentationTrainer(spec, device=device)
        _, job = phase(trainer, start, iterations=1, strategy=strategy, gamma=0.1)
        results[device] = trainer.train(job)
    here, there = results["cpu"], results["cuda"]
    assert there.losses == pytest.approx(here.losses, rel=1e-2)
    assert there.adam.step_count == here.adam.step_count == 1
    outside = np.ones(len(start), bool)
    outside[job.coordinates.indices] = False
    assert np.array_equal(there.parameters[outside], start[outside])
    # One step, and not the values: Adam moves a coordinate by its gradient's sign, which rounding
    # may turn, and an untrained network goes another way from there. The first moment is in
    # proportion to the gradients.
    assert_close(there.adam.first_moment, here.adam.first_moment)


@pytest.mark.parametrize("bfloat16", [False, True])
def test_a_student_learns(bfloat16):
    spec = ams.torch.StudentSpec(**SIZE)
    start = ams.torch.load_student_values(spec).values
    trainer = ams.torch.SegmentationTrainer(spec, bfloat16=bfloat16, device="cuda")
    _, job = phase(trainer, start, iterations=40, strategy="full")
    losses = trainer.train(job).losses
    assert np.mean(losses[-5:]) < 0.9 * np.mean(losses[:5])


def test_a_session_on_a_gpu_and_its_device_hold_the_same():
    spec = ams.torch.StudentSpec(**SIZE)
    start = ams.torch.load_student_values(spec).values
    trainer = ams.torch.SegmentationTrainer(spec, device="cuda")
    session, job = phase(trainer, start, iterations=20, gamma=0.2)
    device = ams.ModelState(trainer.manifest, job.parameters.copy())
    actions = session.on_phase_done(trainer.train(job), 20)
    updates = [a.message for a in actions if isinstance(a, ams.SendToDevice)]
    ams.apply_update(updates[-1].data, device)
    assert device.version == session.held_version


def test_adam_steps_as_on_the_cpu():
    rng = np.random.default_rng(3)
    dimension = 10_000
    moments = [np.zeros(dimension, np.float32)] * 2
    chosen = ams.CoordinateSet.from_sorted(dimension, rng.random(dimension) < 0.2)
    start = rng.standard_normal(dimension).astype(np.float32)
    values = {}
    for device in ("cpu", "cuda"):
        adam = ams.torch.TensorAdam(*moments, 0, device=device, ranges=[(0, 500, 4.0)])
        parameters = torch.tensor(start, device=device)
        adam.begin_phase(chosen)
        draws = np.random.default_rng(4)
        for _ in range(10):
            gradients = draws.standard_normal(dimension).astype(np.float32)
            adam.step(parameters, torch.tensor(gradients, device=device))
        values[device] = (parameters.cpu(), adam.update().cpu(), adam.state())
    assert torch.allclose(values["cpu"][0], values["cuda"][0], rtol=1e-5, atol=1e-7)
    assert torch.allclose(values["cpu"][1], values["cuda"][1], rtol=1e-4, atol=1e-7)
    for name in ("first_moment", "second_moment"):
        assert np.allclose(values["cpu"][2][name], values["cuda"][2][name], rtol=1e-5, atol=1e-7)


def test_a_phase_of_ones_own_module():
    def samples(count):
        for seed in range(count):
            frame = random_frame(seed, 32, 32)
            labels = torch.from_numpy(brightness_labels(frame)[::2, ::2].copy()).long()
            yield torch.from_numpy(frame).permute(2, 0, 1).float().div(255), labels

    results = {}
    for device in ("cpu", "cuda"):
        trainer = ams.torch.ModuleTrainer(SmallNet(), loss=F.cross_entropy, device=device)
        state = ams.ModelState(trainer.manifest, trainer.vector.copy())
        _, job = training_job(state, list(samples(8)), iterations=6, gamma=0.1)
        results[device] = trainer.train(job)
    assert results["cuda"].losses == pytest.approx(results["cpu"].losses, rel=1e-2)
    assert_close(results["cuda"].adam.first_moment, results["cpu"].adam.first_moment, 0.05)


def test_a_server_on_a_gpu_and_a_device_without_one():
    model = SmallNet()
    device = ams.torch.DeviceStudent(copy.deepcopy(model))
    server = ams.torch.ServerStudent(model.to("cuda"), lr=1e-2, gamma=0.1)
    frames = [random_frame(seed, 32, 32) for seed in range(8)]
    inputs = torch.stack([torch.from_numpy(f).permute(2, 0, 1).float() / 255 for f in frames])
    labels = torch.stack([torch.from_numpy(brightness_labels(f)).long() for f in frames])

    def loss(which):
        logits = model(inputs[which].cuda())
        return F.cross_entropy(logits, labels[which, ::2, ::2].cuda())

    for _ in range(3):
        device.apply(server.train(loss, [[0, 1, 2, 3], [4, 5, 6, 7]] * 5))
        assert device.version == server.version
    with torch.no_grad():
        there = model(inputs.cuda()).cpu()
    assert torch.allclose(device(inputs), there, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("classes", [[], [0, 2, 3]])
def test_a_teacher_labels_as_on_the_cpu(tmp_path, classes):
    path = str(tmp_path / "teacher.pt")
    torch.jit.script(SmallNet().eval()).save(path)
    options = {"num_classes": 4, "input_width": 64, "input_height": 48, "selected_classes": classes}
    here = ams.torch.NetworkTeacher(path, **options)
    there = ams.torch.NetworkTeacher(path, **options, device="cuda")
    frames = [random_frame(seed) for seed in range(8)]
    labels = np.stack([here.label(frame) for frame in frames])
    on_gpu = np.stack([there.label(frame) for frame in frames])
    assert len(np.unique(labels)) > 1 and set(np.unique(on_gpu)) <= set(classes or range(4))
    assert np.mean(labels == on_gpu) > 0.99


def test_a_gpu_that_is_not_there_is_named():
    missing = f"cuda:{torch.cuda.device_count()}"
    with pytest.raises(ams.UnavailableError, match=missing):
        ams.torch.SegmentationTrainer(ams.torch.StudentSpec(**SIZE), device=missing)
