"""ams.detection.TorchvisionDetectionTask against torchvision's own losses and predictions."""

import copy

import numpy as np
import pytest
from torch_support import training_job

import ams

models = pytest.importorskip("torchvision_support").models.detection
torch = pytest.importorskip("torch")
pytest.importorskip("ams.torch")

from ams.detection import TorchvisionDetectionTask  # noqa: E402
from ams.torch import ModuleTrainer  # noqa: E402

SIZE = (96, 128)


def ssdlite(classes=3):
    return models.ssdlite320_mobilenet_v3_large(
        weights=None, weights_backbone=None, num_classes=classes
    )


def fcos(classes=3):
    return models.fcos_resnet50_fpn(
        weights=None,
        weights_backbone=None,
        num_classes=classes,
        min_size=96,
        max_size=128,
        score_thresh=0.001,
    )


DETECTORS = {"ssdlite": ssdlite, "fcos": fcos}


def task(**options):
    return TorchvisionDetectionTask(["person", "car"], input_size=SIZE, **options)


def samples(count=2, seed=1):
    random = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        frame = random.integers(0, 256, (*SIZE, 3), np.uint8)
        corner = random.uniform(0, 0.5, (3, 2))
        size = random.uniform(0.2, 0.5, (3, 2))
        boxes = np.column_stack([corner, corner + size, random.integers(0, 2, 3), np.ones(3)])
        found.append((frame, boxes.astype(np.float32)))
    return found


@pytest.mark.parametrize("name", DETECTORS)
def test_the_loss_is_the_detectors_own(name):
    torch.manual_seed(1)
    model, own = DETECTORS[name]().eval(), task()
    inputs, labels = own.collate(samples())
    state = {key: value.clone() for key, value in model.state_dict().items()}
    torch.manual_seed(2)
    loss = own.loss(own.forward(model, inputs), labels)
    assert not any(part.training for part in model.modules())
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())

    reference = copy.deepcopy(model).train()
    for part in reference.modules():
        if isinstance(part, (torch.nn.BatchNorm2d, torch.nn.Dropout)):
            part.eval()
    height, width = SIZE
    targets = [
        {
            "boxes": torch.tensor(boxes[:, :4] * np.float32([width, height, width, height])),
            "labels": torch.tensor(boxes[:, 4] + 1, dtype=torch.int64),
        }
        for _, boxes in samples()
    ]
    images = [torch.tensor(frame).permute(2, 0, 1) / 255 for frame, _ in samples()]
    torch.manual_seed(2)
    expected = sum(reference(images, targets).values())
    torch.testing.assert_close(loss, expected)
    assert 0 <= own.accuracy(own.forward(model, inputs), labels) <= 1


@pytest.mark.parametrize("name", DETECTORS)
def test_predictions_are_the_detectors_own(name):
    torch.manual_seed(1)
    model, own = DETECTORS[name]().eval(), task(labels=[2, 1], min_score=0.002)
    frame = samples()[0][0]
    with torch.no_grad():
        (boxes,) = own.predict(own.forward(model, own.inputs([frame])))
        (found,) = model([torch.tensor(frame).permute(2, 0, 1) / 255])
    left, top, right, bottom = found["boxes"].unbind(1)
    kept = (found["scores"] >= 0.002) & (found["labels"] > 0) & (left < right) & (top < bottom)
    assert len(boxes) == int(kept.sum()) > 0
    edges = found["boxes"][kept].numpy() / np.float32([SIZE[1], SIZE[0], SIZE[1], SIZE[0]])
    np.testing.assert_allclose(boxes[:, :4], edges.clip(0, 1), atol=1e-6)
    np.testing.assert_array_equal(boxes[:, 4], 2 - found["labels"][kept].numpy())  # labels=[2, 1]
    np.testing.assert_allclose(boxes[:, 5], found["scores"][kept].numpy())


@pytest.mark.parametrize("name", DETECTORS)
def test_a_phase_trains_it(name):
    torch.manual_seed(1)
    model, own = DETECTORS[name]().eval(), task()
    trainer = ModuleTrainer(
        model, loss=own.loss, collate=own.collate, forward=own.forward, head=["head.*"]
    )
    initial = ams.ModelState(trainer.manifest, trainer.vector.copy())
    _, job = training_job(
        initial, samples(4), strategy="normalization_and_head", iterations=8, batch_size=2,
        learning_rate=2e-3,
    )  # fmt: skip
    result = trainer.train(job)
    assert np.isfinite(result.losses).all()
    assert np.mean(result.losses[-2:]) < np.mean(result.losses[:2])


def test_empty_and_degenerate_sets_of_boxes_are_learned_from():
    torch.manual_seed(1)
    model, own = ssdlite().eval(), task()
    frame = samples()[0][0]
    flat = np.float32([[0.5, 0.5, 0.5, 0.9, 1, 1], [0.1, 0.1, 0.4, 0.4, 0, 1]])
    for boxes in (np.zeros((0, 6), np.float32), flat):
        inputs, labels = own.collate([(frame, boxes)] * 2)
        loss = own.loss(own.forward(model, inputs), labels)
        assert torch.isfinite(loss)


def test_what_does_not_fit_is_named():
    for labels in ([1], [1, 1], [-1, 2]):
        with pytest.raises(ams.InvalidArgumentError, match="labels are"):
            task(labels=labels)
    own = task()
    inputs, _ = own.collate(samples())
    with pytest.raises(ams.InvalidArgumentError, match="which give their losses"):
        own.forward(_Plain(), inputs)


class _Plain(torch.nn.Module):
    def forward(self, images, targets=None):
        return [{"boxes": None} for _ in images]
