"""The anchor-free head on torch: its loss, networks, and the schemes in virtual time."""

import json
from pathlib import Path

import numpy as np
import pytest
from torch_support import torch, training_job

import ams
from ams import detection
from ams.detection import student
from ams.torch import ModuleTrainer, open_network, set_compute_threads

set_compute_threads(1)

BOXES = np.array([[0.1, 0.2, 0.5, 0.9, 0, 1], [0.6, 0.55, 0.7, 0.65, 1, 1]], np.float32)


def perfect_outputs(boxes, classes, height, width):
    """Maps that say exactly these boxes, by hand."""
    maps = torch.zeros(1, classes + 4, height, width)
    maps[:, :classes] = -12
    for left, top, right, bottom, kind, _ in boxes.tolist():
        x, y = (left + right) / 2 * width, (top + bottom) / 2 * height
        maps[0, int(kind), int(y), int(x)] = 12
        maps[0, classes:, int(y), int(x)] = torch.tensor(
            [
                x - int(x),
                y - int(y),
                np.log((right - left) * width),
                np.log((bottom - top) * height),
            ]
        )
    return maps


def test_what_the_loss_wants_is_what_decoding_reads():
    outputs = perfect_outputs(BOXES, 2, 12, 24)
    assert float(student.centre_loss(outputs, [BOXES], 2)) < 1e-3
    task = detection.DetectionTask(["person", "car"])
    (found,) = task.predict(outputs)
    assert detection.box_disagreement(found, BOXES) < 1e-5
    for change in (0.5, -0.5):
        for channel in range(6):
            worse = outputs.clone()
            worse[:, channel] += change if channel >= 2 else 40 * change
            assert float(student.centre_loss(worse, [BOXES], 2)) > 1e-2


def test_the_loss_of_any_label_is_finite_and_falls():
    torch.manual_seed(0)
    outputs = torch.randn(3, 6, 6, 12, requires_grad=True)
    edge = np.array([[0.999, 0.999, 1, 1, 1, 1], [0, 0, 1, 1, 0, 1]], np.float32)
    labels = [BOXES, detection.no_boxes(), edge]
    first = student.centre_loss(outputs, labels, 2)
    for _ in range(60):
        loss = student.centre_loss(outputs, labels, 2)
        (gradient,) = torch.autograd.grad(loss, outputs)
        assert torch.isfinite(gradient).all()
        with torch.no_grad():
            outputs -= 0.5 * gradient
    assert 0 < loss.item() < 0.5 * first.item()
    empty = student.centre_loss(torch.randn(1, 6, 6, 12), [detection.no_boxes()], 2)
    assert float(empty) > 0
    with pytest.raises(ams.InvalidArgumentError, match=r"\[N, 6 \* k \* k"):
        student.centre_loss(torch.zeros(1, 7, 6, 12), [BOXES], 2)


def test_maps_may_come_in_finer_cells():
    outputs = torch.randn(1, student.map_channels(2, 2), 3, 6)
    assert student.centre_maps(outputs, 2).shape == (1, 6, 6, 12)
    assert student.map_channels(2, 2) == 24


def pictures(count):
    """Bright rectangles on noise, with their boxes."""
    random = np.random.default_rng(1)
    for _ in range(count):
        frame = random.integers(0, 80, (32, 64, 3), np.uint8)
        x, y, w, h = random.integers([4, 4, 16, 10], [24, 12, 34, 18])
        frame[y : y + h, x : x + w] += 150
        edges = [[x, y, x + w, y + h]]
        yield frame, detection.boxes_from_pixels(edges, [0], width=64, height=32)


def train(network, task, **options):
    """A phase of a session; gives its losses."""
    trainer = ModuleTrainer(network, loss=task.loss, collate=task.collate)
    state = ams.ModelState(trainer.manifest, trainer.vector.copy())
    samples = [task.sample(*picture) for picture in pictures(16)]
    _, job = training_job(state, samples, gamma=1.0, learning_rate=4e-3, **options)
    return trainer.train(job).losses


def test_a_trainer_teaches_boxes():
    torch.manual_seed(1)
    network = student.CentreNet(1, width=16)
    task = detection.DetectionTask(["thing"], input_size=(32, 64))
    losses = train(network, task, iterations=40, batch_size=4)
    assert np.mean(losses[-10:]) < 0.6 * np.mean(losses[:5])
    network.eval()
    with torch.no_grad():
        outputs = network(task.inputs([frame for frame, _ in pictures(2)]))
    for boxes in task.predict(outputs):
        detection.check_boxes(boxes, 1)


def test_a_network_of_the_library_is_a_detector():
    network = open_network("edanet", num_classes=student.map_channels(1, 2)).eval()
    student.prepare_head(network, 1)
    task = detection.DetectionTask(["thing"], input_size=(32, 64))
    with torch.no_grad():
        outputs = network(task.inputs([frame for frame, _ in pictures(1)]))
    assert student.centre_maps(outputs, 1).shape == (1, 5, 8, 16)
    assert len(train(network, task, iterations=2, batch_size=2)) == 2
    with pytest.raises(ams.InvalidArgumentError, match="detector of 2 classes"):
        student.prepare_head(network, 2)


@pytest.fixture(scope="module")
def drive():
    """A drive by night, and a network that knows other streets by day a little."""
    from ams.detection.drive import CLASSES, drive
    from ams.detection.pretrain import pretrain

    def frames(seed, schedule, seconds, fps):
        size = (96, 48)
        options = {"size": size, "schedule": schedule, "seconds": seconds, "fps": fps}
        return list(drive(seed=seed, min_share=0.005, **options))

    torch.manual_seed(1)
    network = student.CentreNet(len(CLASSES), width=16)
    task = detection.DetectionTask(CLASSES)
    pretrain(network, frames(1000, "fair", 40, 1), task, steps=40)
    return frames(3, "0:downtown/night", 24, 2), network, task


def test_schemes_in_virtual_time(drive):
    if not all(ams.build_info()["layers"].values()):
        pytest.skip("this build of libams has not all layers")
    from ams import sim
    from ams.detection.simulate import run

    frames, network, task = drive
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    fast = {"first_batch_seconds": 4, "update_interval_seconds": 4, "iterations": 4}
    shown = []
    adapted = run(
        sim.AMS(**fast, codec=sim.PassThrough()),
        frames,
        network,
        task,
        on_prediction=lambda frame, boxes: shown.append(boxes),
    )
    fixed = run(sim.NoCustomization(), frames, network, task)
    once = run(sim.OneTime(iterations=4, codec=sim.PassThrough()), frames, network, task)
    assert len(shown) == len(frames) == len(adapted.frames)
    assert adapted.updates >= 3 and adapted.digests_equal and adapted.downlink_kbps > 0
    assert once.updates == 1 and once.digests_equal
    assert fixed.updates == 0 and fixed.downlink_kbps == 0
    for result in (adapted, fixed, once):
        assert 0 <= result.ap50_95 <= result.ap50 <= 100
    assert all(torch.equal(before[k], v) for k, v in network.state_dict().items())
    with pytest.raises(ValueError, match="AMS, OneTime"):
        run(sim.JustInTime(), frames, network, task)


def test_networks_are_kept(tmp_path, drive):
    _, network, _ = drive
    path = tmp_path / "network.npz"
    student.save_network(network, path)
    twin = student.load_network(student.CentreNet(2, width=16), path).eval()
    image = torch.randn(1, 3, 48, 96)
    with torch.no_grad():
        assert torch.allclose(network(image), twin(image), atol=0.05)
    with pytest.raises(ams.MalformedDataError):
        student.load_network(student.CentreNet(2, width=32), path)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ams.MalformedDataError):
        student.load_network(student.CentreNet(2, width=16), path)
    with pytest.raises(OSError):
        student.load_network(student.CentreNet(2), tmp_path / "none.npz")


def test_the_demo(tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    if not all(ams.build_info()["layers"].values()):
        pytest.skip("this build of libams has not all layers")
    from ams.detection import demo

    weights = Path(__file__).resolve().parents[2] / "examples" / "data" / "street_centrenet.npz"
    flags = ["--student", weights, "--seconds", 20, "--fps", 1, "--iterations", 2]
    command = ["demo", *flags, "--out", tmp_path / "out"]
    monkeypatch.setattr("sys.argv", [str(word) for word in command])
    demo.main()
    assert "the same model" in capsys.readouterr().out
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["adapted"]["updates"] >= 2 and len(report["adapted"]["frames"]) == 20
    assert report["no_customization"]["ap50"] > 20
    assert all((tmp_path / "out" / name).is_file() for name in ("summary.png", "annotated.mp4"))
    monkeypatch.setattr("sys.argv", ["demo", "--student", str(tmp_path / "none.npz")])
    with pytest.raises(SystemExit):
        demo.main()
    assert "ams.detection.pretrain makes it" in capsys.readouterr().err
