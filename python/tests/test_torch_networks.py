import json
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from torch_support import brightness_labels, random_frame, torch, training_job

import ams
import ams.torch

CLASSES = 4
SIZE = {"num_classes": CLASSES, "input_width": 64, "input_height": 32}


def labelled(count):
    frames = [random_frame(seed) for seed in range(count)]
    return [ams.torch.LabelledFrame(f, brightness_labels(f, CLASSES)) for f in frames]


def test_a_spec_names_a_student():
    spec = ams.torch.StudentSpec(**SIZE, selected_classes=[0, 2])
    assert (spec.network, spec.num_classes, spec.input_width) == ("edanet", 4, 64)
    assert spec.selected_classes == [0, 2] and spec.mean == [0.485, 0.456, 0.406]
    assert "edanet" in repr(spec)
    values = ams.torch.load_student_values(spec)
    assert values.values.dtype == np.float32 and not values.values.flags.writeable
    assert len(values.values) == values.manifest.dimension
    again = ams.torch.load_student_values(spec)
    assert np.array_equal(values.values, again.values) and values.fingerprint == again.fingerprint
    other = ams.torch.load_student_values(ams.torch.StudentSpec(**SIZE))
    assert other.fingerprint != values.fingerprint
    assert set(ams.torch.student_network_names()) == {"edanet", "deeplabv3_mobilenetv2"}


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"num_classes": 0}, "num_classes"),
        ({"input_width": 5000}, "input_width"),
        ({"selected_classes": [3, 1]}, "selected_classes"),
        ({"standard_deviation": (1, 0, 1)}, "standard deviation"),
    ],
)
def test_specs_out_of_range_are_refused(wrong, named):
    with pytest.raises(ams.InvalidArgumentError, match=named):
        ams.torch.StudentSpec(**wrong)


def test_students_that_are_not_there():
    with pytest.raises(ams.InvalidArgumentError, match="allowed are edanet"):
        ams.torch.load_student_values(ams.torch.StudentSpec(network="unet"))
    with pytest.raises(ams.IoError):
        ams.torch.load_student_values(ams.torch.StudentSpec(network="nowhere.pt"))
    with pytest.raises(OSError):
        ams.torch.load_student_values(ams.torch.StudentSpec(weights="nowhere.safetensors"))


def exported_program(path):
    module = torch.nn.Conv2d(3, CLASSES, 3, padding=1).eval()
    program = path.with_suffix(".pt2")
    torch.export.save(torch.export.export(module, (torch.zeros(1, 3, 32, 64),)), program)
    program.rename(path)


def cut_short(path):
    torch.jit.script(torch.nn.Conv2d(3, CLASSES, 3, padding=1)).save(path)
    path.write_bytes(path.read_bytes()[:-200])


def save(content, **options):
    return lambda path: torch.save(content(), path, **options)


OTHER_FILES = {
    "state dict": (save(lambda: torch.nn.Conv2d(3, 4, 1).state_dict()), "a state dict or checkp"),
    "checkpoint": (save(lambda: {"model": torch.zeros(3), "epoch": 3}), "a state dict or checkp"),
    "older state dict": (
        save(
            lambda: torch.nn.Conv2d(3, 4, 1).state_dict(), _use_new_zipfile_serialization=False
        ),
        "a state dict or checkp",
    ),
    "module": (save(lambda: torch.nn.Conv2d(3, 4, 1)), "a Python module of torch.save"),
    "program": (exported_program, "a program of torch.export.save"),
    "cut short": (cut_short, "an archive whose end is missing"),
}


@pytest.mark.parametrize("kind", list(OTHER_FILES))
def test_files_that_torch_writes_and_the_programs_do_not_take(tmp_path, kind):
    write, what = OTHER_FILES[kind]
    path = tmp_path / "model.pt"
    write(path)
    paths = [path, tmp_path / "model.pt2", tmp_path / "model.pth"]
    for other in paths[1:]:
        other.write_bytes(path.read_bytes())
    opens = [
        lambda p: ams.torch.load_student_values(ams.torch.StudentSpec(**SIZE, network=p)),
        lambda p: ams.torch.NetworkTeacher(p, **SIZE),
        lambda p: ams.torch.load_student_values(ams.torch.StudentSpec(**SIZE, weights=p)),
    ]
    for name in paths:
        for i, opened in enumerate(opens):
            with pytest.raises(ams.MalformedDataError) as raised:
                opened(name)
            message = str(raised.value)
            assert str(name) in message and what in message and "miniz" not in message
            assert "again" in message or ("safetensors" if i == 2 else "ams.export") in message


def test_weights_from_a_wrapped_module(tmp_path):
    """As safetensors.torch.save_file(torch.compile(module).state_dict(), path) names them."""
    spec = ams.torch.StudentSpec(**SIZE)
    path = tmp_path / "weights.safetensors"
    ams.torch.pretrain(spec, labelled(2), path, steps=1, batch_size=2, progress=False)
    expected = ams.torch.load_student_values(ams.torch.StudentSpec(**SIZE, weights=path)).values
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    renamed = {k if k == "__metadata__" else f"module._orig_mod.{k}": v for k, v in header.items()}
    text = json.dumps(renamed).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])
    found = ams.torch.load_student_values(ams.torch.StudentSpec(**SIZE, weights=path)).values
    assert np.array_equal(found, expected)

    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ams.MalformedDataError, match="cut short"):
        ams.torch.load_student_values(ams.torch.StudentSpec(**SIZE, weights=path))


def test_a_network_is_a_callable_with_gradients():
    network = ams.torch.open_network("edanet", num_classes=CLASSES).eval()
    inputs = torch.randn(2, 3, 32, 64, requires_grad=True)
    logits = network(inputs)
    assert logits.shape == (2, CLASSES, 4, 8) and network.align_corners
    logits.square().sum().backward()
    assert inputs.grad.abs().sum() > 0
    parameters = dict(network.named_parameters())
    assert all(p.grad is not None for p in parameters.values())
    statistics = {n: b.clone() for n, b in network.named_buffers() if n.endswith("running_mean")}
    network.train()(inputs)
    buffers = dict(network.named_buffers())
    assert statistics and not any(torch.equal(buffers[n], b) for n, b in statistics.items())
    assert network.eval() is network and network.to("cpu") is network.to(torch.device("cpu"))
    with pytest.raises(RuntimeError) as raised:
        network(torch.zeros(1, 5, 32, 64))
    assert not isinstance(raised.value, ams.Error)
    with pytest.raises(ams.InvalidArgumentError, match="allowed are fddwnet"):
        ams.torch.open_network("unet")
    with pytest.raises(ams.InvalidArgumentError, match="num_classes"):
        ams.torch.open_network("edanet", num_classes=255)


def test_any_optimiser_trains_a_network():
    network = ams.torch.open_network("edanet", num_classes=CLASSES).eval()
    optimizer = ams.torch.GradientGuidedAdam(network, lr=3e-3, gamma=0.2)
    inputs = torch.randn(2, 3, 32, 64)
    targets = torch.zeros(2, 4, 8, dtype=torch.long)
    losses = []
    for _ in range(3):
        optimizer.begin_phase()
        for _ in range(4):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(network(inputs), targets)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_a_predictor_runs_what_the_trainer_gave():
    spec = ams.torch.StudentSpec(**SIZE)
    start = ams.torch.load_student_values(spec)
    predictor = ams.torch.NetworkPredictor(spec)
    frame = random_frame(1, 50, 90)
    labels = predictor.predict(frame)
    assert labels.shape == (32, 64) and labels.dtype == np.uint8
    trainer = ams.torch.SegmentationTrainer(spec)
    state = ams.ModelState(start.manifest, start.values)
    _, job = training_job(
        state, labelled(8), iterations=60, batch_size=8, strategy="full", learning_rate=3e-3
    )
    result = trainer.train(job)
    assert np.mean(result.losses[-5:]) < 0.7 * np.mean(result.losses[:5])
    predictor.load(result.parameters)

    def accuracy():
        hits = [predictor.predict(s.frame)[::8, ::8] for s in labelled(8)]
        wanted = [s.labels[::12, ::8] for s in labelled(8)]
        return np.mean([np.mean(h == w) for h, w in zip(hits, wanted, strict=True)])

    trained = accuracy()
    predictor.load(start.values)
    assert np.array_equal(predictor.predict(frame), labels)
    assert trained > accuracy()
    with pytest.raises(ams.InvalidArgumentError):
        predictor.load(start.values[:-1])
    for bad in (frame.astype(np.float32), frame[..., 0], frame[:, ::2]):
        with pytest.raises(ams.InvalidArgumentError):
            predictor.predict(bad)


def test_threads_share_a_predictor():
    predictor = ams.torch.NetworkPredictor(ams.torch.StudentSpec(**SIZE))
    frames = [random_frame(seed) for seed in range(4)]
    expected = [predictor.predict(frame) for frame in frames]
    found = [None] * 4

    def work(index):
        for _ in range(5):
            found[index] = predictor.predict(frames[index])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(f, e) for f, e in zip(found, expected, strict=True))


def test_samples_may_be_kept_at_the_size_of_the_student():
    spec = ams.torch.StudentSpec(**SIZE)
    trainer = ams.torch.SegmentationTrainer(spec)
    start = ams.torch.load_student_values(spec)
    results = []
    large = [
        ams.torch.LabelledFrame(f, brightness_labels(f, CLASSES))
        for f in (random_frame(seed, 128, 256) for seed in range(4))
    ]
    small = [ams.torch.training_sample(spec, s.frame, s.labels, capture_seconds=3) for s in large]
    assert small[0].frame.shape == (32, 64, 3) and small[0].labels.shape == (32, 64)
    assert small[0].nbytes == large[0].nbytes // 16 and small[0].capture_seconds == 3
    for samples in (large, small):
        _, job = training_job(ams.ModelState(start.manifest, start.values), samples)
        results.append(trainer.train(job))
    assert results[0].losses == results[1].losses
    assert np.array_equal(results[0].parameters, results[1].parameters)


def test_samples_and_jobs_that_do_not_fit():
    spec = ams.torch.StudentSpec(**SIZE)
    trainer = ams.torch.SegmentationTrainer(spec, device=torch.device("cpu"))
    start = ams.torch.load_student_values(spec)
    state = ams.ModelState(start.manifest, start.values)
    _, job = training_job(state, ["a", "b", "c", "d"])
    with pytest.raises(ams.InvalidArgumentError, match="is a str; allowed are LabelledFrame"):
        trainer.train(job)
    other = ams.torch.load_student_values(ams.torch.StudentSpec(num_classes=5))
    _, job = training_job(ams.ModelState(other.manifest, other.values), labelled(4))
    with pytest.raises(ams.ManifestMismatchError):
        trainer.train(job)
    with pytest.raises(ams.UnavailableError, match="allowed are cpu"):
        ams.torch.SegmentationTrainer(spec, device="tpu7")
    sample = labelled(1)[0]
    assert sample.nbytes == 48 * 64 * 4
    assert sample.frame.shape == (48, 64, 3) and not sample.frame.flags.writeable
    assert not sample.frame.flags.owndata and not sample.labels.flags.owndata
    assert np.array_equal(sample.labels, brightness_labels(sample.frame, CLASSES))
    with pytest.raises(ams.InvalidArgumentError):
        ams.torch.LabelledFrame(np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint8))


def test_pretraining_makes_a_checkpoint(tmp_path):
    spec = ams.torch.StudentSpec(**SIZE)
    output = tmp_path / "weights.safetensors"
    losses = []
    result = ams.torch.pretrain(
        spec,
        labelled(6),
        output,
        steps=12,
        batch_size=4,
        warmup_steps=2,
        stored_as="f32",
        on_step=lambda step, loss: losses.append(loss),
        progress=False,
    )
    assert result.steps == 12 and len(losses) == 12 and losses[-1] < losses[0]
    trained = ams.torch.load_student_values(ams.torch.StudentSpec(**SIZE, weights=output))
    start = ams.torch.load_student_values(spec)
    assert trained.manifest.digest == start.manifest.digest
    assert not np.array_equal(trained.values, start.values)

    early = tmp_path / "early.safetensors"
    stopped = ams.torch.pretrain(
        spec, labelled(4), early, steps=9, batch_size=2, on_step=lambda step, loss: step < 3
    )
    assert stopped.steps == 3 and early.is_file()

    def failing(step, loss):
        raise RuntimeError("stop here")

    refused = tmp_path / "refused.safetensors"
    for options, error in (
        ({"on_step": failing}, RuntimeError),
        ({"batch_size": 1}, ams.InvalidArgumentError),
        ({"schedule": "steps"}, ams.InvalidArgumentError),
        ({"stored_as": "f8"}, ams.InvalidArgumentError),
    ):
        with pytest.raises(error):
            ams.torch.pretrain(spec, labelled(4), refused, **{"batch_size": 2, **options})
    for dataset in ([], ["x"]):
        with pytest.raises(ams.InvalidArgumentError):
            ams.torch.pretrain(spec, dataset, refused, batch_size=2)
    assert not refused.exists()


INTERRUPTED = """
import sys, threading, os, signal
sys.path.insert(0, sys.argv[1])
from test_torch_networks import *
spec = ams.torch.StudentSpec(**SIZE)
def soon(step=0, loss=0):
    if step in (0, 2): os.kill(os.getpid(), signal.SIGINT)
if sys.argv[2] == "pretrain":
    run = lambda: ams.torch.pretrain(spec, labelled(4), "never.safetensors", batch_size=2,
                                     steps=10**6, on_step=soon)
else:
    start = ams.torch.load_student_values(spec)
    state = ams.ModelState(start.manifest, start.values)
    _, job = training_job(state, labelled(4), iterations=10**4)
    trainer = ams.torch.SegmentationTrainer(spec)
    threading.Timer(1, soon).start()
    run = lambda: trainer.train(job)
try:
    run()
except KeyboardInterrupt:
    print("interrupted", os.path.exists("never.safetensors"))
"""


@pytest.mark.parametrize("work", ["pretrain", "train"])
def test_ctrl_c_ends_long_work_between_two_steps(tmp_path, work):
    folder = os.path.dirname(os.path.abspath(__file__))
    result = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, folder, work],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(ams.__file__))},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.stdout.strip() == "interrupted False", result.stderr


def test_runtime():
    threads = ams.torch.compute_threads()
    ams.torch.set_compute_threads(1)
    assert ams.torch.compute_threads() == torch.get_num_threads() == 1
    ams.torch.set_compute_threads(threads)
    with pytest.raises(ams.InvalidArgumentError):
        ams.torch.set_compute_threads(0)
    assert torch.__version__.startswith(ams.torch.torch_version().rsplit(".", 1)[0])
