import numpy as np
import pytest
from torch_support import SmallNet, brightness_labels, random_frame, torch, training_job

import ams
import ams.torch

F = torch.nn.functional


def samples(count, classes=4):
    pairs = []
    for seed in range(count):
        frame = random_frame(seed, 32, 32)
        inputs = torch.from_numpy(frame).permute(2, 0, 1).float().div(255)
        targets = torch.from_numpy(brightness_labels(frame, classes)[::2, ::2].copy()).long()
        pairs.append((inputs, targets))
    return pairs


def first_job(trainer, count=8, **options):
    state = ams.ModelState(trainer.manifest, trainer.vector.copy())
    return training_job(state, samples(count), **options)


def test_a_phase_trains_the_chosen_coordinates_alone():
    module = SmallNet()
    trainer = ams.torch.ModuleTrainer(module, loss=F.cross_entropy)
    _, job = first_job(trainer, iterations=6, gamma=0.1, learning_rate=1e-2)
    result = trainer.train(job)
    moved = np.flatnonzero(result.parameters != job.parameters)
    assert np.isin(moved, job.coordinates.indices).all()
    assert len(moved) > 0.8 * len(job.coordinates)  # some may have no gradient: a silent ReLU
    assert len(result.losses) == 6 and result.adam.step_count == 6 and result.seconds > 0
    assert np.array_equal(trainer.vector.copy(), result.parameters)
    assert np.array_equal(trainer.train(job).parameters, result.parameters)  # the job is unchanged
    assert not module.training


def test_a_phase_is_algorithm_2_on_the_jobs_batches():
    module, twin = SmallNet(), SmallNet().eval()
    trainer = ams.torch.ModuleTrainer(module, loss=F.cross_entropy)
    _, job = first_job(trainer, iterations=5, gamma=0.2)
    result = trainer.train(job)
    vector = ams.torch.ParameterVector(twin)
    losses = []
    for batch in job.mini_batches:
        vector.zero_gradients()
        inputs = torch.stack([x for x, _ in batch])
        loss = F.cross_entropy(twin(inputs), torch.stack([y for _, y in batch]))
        loss.backward()
        losses.append(float(loss.detach()))
        job.step(vector.gradients.numpy())
        vector.load(job.parameters)
    assert result.losses == losses
    assert np.array_equal(result.parameters, job.parameters)
    assert np.array_equal(result.adam.second_moment, job.adam.second_moment)


def test_only_required_gradients_are_computed():
    module = SmallNet()
    asked = []

    def loss(outputs, targets):
        asked.append([p.requires_grad for p in module.parameters()])
        return F.cross_entropy(outputs, targets)

    trainer = ams.torch.ModuleTrainer(module, loss=loss)
    _, job = first_job(trainer, strategy="last_layers", gamma=0.02)
    result = trainer.train(job)
    assert asked[0] == list(job.required_gradients)
    assert asked[0][-1] and not asked[0][0]
    # And afterwards whoever copies or exports the module sees all of it.
    assert all(parameter.requires_grad for parameter in module.parameters())
    first = trainer.manifest.tensors[0]
    assert not np.any(result.adam.first_moment[: first.size])


def test_a_session_learns_and_its_device_follows():
    module = SmallNet()
    trainer = ams.torch.ModuleTrainer(module, loss=F.cross_entropy)
    exact = {"profile": "reference", "relative_step": 1}
    session, job = first_job(
        trainer, count=12, iterations=30, gamma=0.2, learning_rate=2e-2, **exact
    )
    device = ams.ModelState(trainer.manifest, job.parameters.copy())
    result = trainer.train(job)
    assert np.mean(result.losses[-5:]) < 0.9 * np.mean(result.losses[:5])
    actions = session.on_phase_done(result, 20)
    updates = [a.message for a in actions if isinstance(a, ams.SendToDevice)]
    ams.apply_update(updates[-1].data, device)
    assert device.version == session.held_version
    assert np.allclose(device.values, result.parameters, atol=1e-2)


def test_it_agrees_with_the_trainer_of_the_library():
    classes = 4
    spec = ams.torch.StudentSpec(num_classes=classes, input_width=64, input_height=32, seed=3)
    native = ams.torch.SegmentationTrainer(spec, class_balance=0)
    start = ams.torch.load_student_values(spec)
    network = ams.torch.open_network("edanet", num_classes=classes, seed=3)
    mean, deviation = (torch.tensor(v).view(3, 1, 1) for v in (spec.mean, spec.standard_deviation))

    def collate(batch):
        frames = [torch.from_numpy(s.frame.copy()).permute(2, 0, 1).float() / 255 for s in batch]
        inputs = torch.stack([(f - mean) / deviation for f in frames])
        return inputs, torch.stack([torch.from_numpy(s.labels.copy()).long() for s in batch])

    def loss(logits, targets):
        logits = F.interpolate(logits, targets.shape[1:], mode="bilinear", align_corners=True)
        return F.cross_entropy(logits, targets)

    trainer = ams.torch.ModuleTrainer(network, loss=loss, collate=collate)
    assert trainer.manifest.digest == native.manifest.digest == start.manifest.digest
    assert np.array_equal(trainer.vector.copy(), start.values)
    frames = [random_frame(seed, 32, 64) for seed in range(6)]
    labelled = [ams.torch.LabelledFrame(f, brightness_labels(f, classes)) for f in frames]
    state = ams.ModelState(start.manifest, start.values)
    _, job = training_job(state, labelled, iterations=4, gamma=0.1)
    ours, theirs = trainer.train(job), native.train(job)
    assert ours.losses == pytest.approx(theirs.losses, rel=2e-3)
    moved_ours, moved_theirs = (r.parameters != start.values for r in (ours, theirs))
    assert (moved_ours == moved_theirs).mean() > 0.999
    assert np.corrcoef(ours.adam.first_moment, theirs.adam.first_moment)[0, 1] > 0.999
    again = native.train(job)
    assert np.array_equal(again.parameters, theirs.parameters)


def test_statistics_are_trained_when_asked_for():
    module = SmallNet()
    trainer = ams.torch.ModuleTrainer(module, loss=F.cross_entropy, with_statistics=True)
    assert trainer.manifest.tensors[-1].kind == "statistic"
    _, job = first_job(trainer, gamma=0.05)
    result = trainer.train(job)
    assert np.all(result.parameters[-16:] != job.parameters[-16:])
    frozen = SmallNet()
    before = frozen.stem[1].running_mean.clone()
    trainer = ams.torch.ModuleTrainer(frozen, loss=F.cross_entropy)
    trainer.train(first_job(trainer)[1])
    assert torch.equal(frozen.stem[1].running_mean, before)


def test_any_samples_any_structure():
    class Dictionary(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = SmallNet()

        def forward(self, batch):
            return {"logits": self.net(batch["image"])}

    def collate(batch):
        inputs = {"image": torch.stack([x for x, _ in batch]), "names": ["x"] * len(batch)}
        return inputs, (torch.stack([y for _, y in batch]), "a note")

    trainer = ams.torch.ModuleTrainer(
        Dictionary(),
        loss=lambda outputs, targets: F.cross_entropy(outputs["logits"], targets[0]),
        collate=collate,
        device="cpu",
    )
    assert len(trainer.train(first_job(trainer)[1]).losses) == 4


def test_a_batch_that_says_nothing_makes_no_step():
    trainer = ams.torch.ModuleTrainer(SmallNet(), loss=lambda outputs, targets: None)
    _, job = first_job(trainer)
    result = trainer.train(job)
    assert result.losses == [0] * 4 and result.adam.step_count == 0
    assert np.array_equal(result.parameters, job.parameters)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda value: value.detach(), "mini-batch 1 has no gradient; compute it from the module"),
        (
            lambda value: value.detach() * torch.ones((), requires_grad=True),
            "mini-batch 1 gives no gradient to any of the 10 tensors",
        ),
        (torch.Tensor.item, "mini-batch 1 is a float; allowed are a scalar tensor"),
    ],
)
def test_a_loss_that_the_module_does_not_learn_from_is_refused(wrong, message):
    trainer = ams.torch.ModuleTrainer(
        SmallNet(), loss=lambda outputs, targets: wrong(F.cross_entropy(outputs, targets))
    )
    _, job = first_job(trainer)
    with pytest.raises(ams.InvalidArgumentError, match=message):
        trainer.train(job)


def test_a_phase_whose_tensors_no_loss_reaches_is_refused():
    class WithAuxiliaryHead(SmallNet):
        """The head in use is not the last layer."""

        def __init__(self):
            super().__init__()
            self.auxiliary = torch.nn.Conv2d(8, 4, 1)

    with pytest.warns(UserWarning, match=r"'auxiliary\.\*', is taken for the head, and head\.\*"):
        trainer = ams.torch.ModuleTrainer(WithAuxiliaryHead(), loss=F.cross_entropy)
    _, job = first_job(trainer, strategy="last_layers", gamma=0.02)
    with pytest.raises(ams.InvalidArgumentError, match="has no gradient"):
        trainer.train(job)


def test_bad_jobs_losses_and_interruptions_leave_it_usable():
    mode = {"loss": "good"}

    def loss(outputs, targets):
        if mode["loss"] == "nan":
            return outputs.sum() * float("nan")
        if mode["loss"] == "map":
            return outputs
        if mode["loss"] == "stop":
            raise KeyboardInterrupt
        return F.cross_entropy(outputs, targets)

    trainer = ams.torch.ModuleTrainer(SmallNet(), loss=loss)
    _, job = first_job(trainer)
    expected = trainer.train(job).parameters.copy()
    for kind, error in (
        ("nan", ams.InvalidArgumentError),
        ("map", ams.InvalidArgumentError),
        ("stop", KeyboardInterrupt),
    ):
        mode["loss"] = kind
        with pytest.raises(error):
            trainer.train(job)
    mode["loss"] = "good"
    other = ams.torch.ModuleTrainer(SmallNet(classes=5), loss=F.cross_entropy)
    differ = r"'head.bias' is \[4\] in this module and \[5\] in the job"
    with pytest.raises(ams.ManifestMismatchError, match=differ):
        trainer.train(first_job(other)[1])
    assert np.array_equal(trainer.train(job).parameters, expected)
    with pytest.raises(ams.InvalidArgumentError):
        ams.torch.ModuleTrainer(SmallNet(), loss=None)


def test_what_else_draws_random_numbers_is_left_alone():
    module = torch.nn.Sequential(SmallNet(), torch.nn.Dropout(0.5))
    trainer = ams.torch.ModuleTrainer(module, loss=F.cross_entropy, with_statistics=True)
    _, job = first_job(trainer)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = trainer.train(job).parameters.copy()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    module[0].stem[1].reset_running_stats()
    trainer.vector.load(job.parameters)
    assert np.array_equal(trainer.train(job).parameters, first)


class Offering(ams.UpdatePolicy):
    """Offers other states to start from."""

    def __init__(self, others):
        super().__init__()
        self.others, self.reports = others, []

    def plan(self, context, random):
        return ams.PhasePlan(
            parameters=context.held.values,
            coordinates=ams.CoordinateSet.all(2),
            required_gradients=[True, True],
            iterations=1,
            learning_rate=1e-6,
            other_starts=self.others,
            recency_seconds=5.0,
        )

    def on_trained(self, report):
        self.reports.append((report.iterations, report.scores.start, report.scores.held))


@pytest.mark.parametrize("score", [None, lambda outputs, targets: float(outputs.mean() > 0.5)])
def test_a_phase_starts_from_the_best_of_the_states_that_a_policy_offers(score):
    module = torch.nn.Linear(1, 1)
    with torch.no_grad():
        module.weight.fill_(0.0), module.bias.fill_(0.0)
    trainer = ams.torch.ModuleTrainer(
        module, loss=torch.nn.functional.mse_loss, score=score
    )
    initial = ams.ModelState(trainer.manifest, trainer.vector.copy())
    policy = Offering(np.float32([[0, 0], [0, 1], [0, -1]]))
    session = ams.ServerSession(initial, ams.Task(), policy)
    hello = ams.protocol.Hello(
        device_id="a", manifest_digest=trainer.manifest.digest, held=initial.version
    )
    session.on_message(hello, 0)
    batch = ams.protocol.FrameBatch(batch_id=1, capture_seconds=[0.0], bitstream=b"x")
    session.on_message(batch, 1)
    session.on_labelled(1, [(0.0, (torch.tensor([0.3]), torch.tensor([1.0])))], 1)
    session.on_phase_done(trainer.train(session.begin_phase(1)), 2)
    assert np.allclose(session.held.values, [0, 1], atol=1e-3)
    (iterations, start, held), = policy.reports
    assert (iterations, start) == (1, 2)
    assert session.counters.trials == session.counters.restarts == 1
    assert held == (pytest.approx(np.exp(-1)) if score is None else 0)
