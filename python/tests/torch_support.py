"""What the tests of ams.torch and ams.export share. Importing it skips a module without torch."""

from __future__ import annotations

import numpy as np
import pytest

import ams
import ams.protocol

torch = pytest.importorskip("torch")
if ams.build_info()["layers"]["torch"] is None:
    pytest.skip("this build of libams has no torch layer", allow_module_level=True)

from torch import nn  # noqa: E402


class SmallNet(nn.Module):
    """A segmentation network that is none of the library's: group and batch norm, a skip."""

    def __init__(self, classes: int = 4, seed: int = 5) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU()
        )
        self.middle = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.GroupNorm(2, 8), nn.ReLU())
        self.head = nn.Conv2d(8, classes, 1)

    def forward(self, x):
        x = self.stem(x)
        return self.head(x + self.middle(x))


def random_frame(seed: int, height: int = 48, width: int = 64) -> np.ndarray:
    """Blocks of colour, so that there is something to learn: uint8 [height, width, 3]."""
    generator = np.random.default_rng(seed)
    blocks = generator.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    return np.ascontiguousarray(blocks.repeat(8, axis=0).repeat(8, axis=1))


def brightness_labels(frame: np.ndarray, classes: int = 4) -> np.ndarray:
    """A teacher that anybody can check: the class is the brightness. uint8 [height, width]."""
    grey = frame.astype(np.uint16).sum(axis=2) * classes // (3 * 256)
    return np.ascontiguousarray(grey.astype(np.uint8))


def training_job(state, samples, *, batch_size=2, iterations=4, seed=0, **options):
    """The TrainingJob of a real session's first phase on `samples`."""
    options = {
        "adapt_sampling_rate": False,
        "min_samples": len(samples),
        "least_spacing": 1,
        "recency_seconds": 0,
        "start_states": 0,
        "strategy": "gradient_guided",
        "learning_rate": 1e-3,
        "weight_multiplier": 1,
        "normalization_multiplier": 1,
        "head_multiplier": 1,
        **options,
    }
    policy = ams.FixedPolicy(batch_size=batch_size, iterations=iterations, **options)
    session = ams.ServerSession(state, ams.Task(), policy, ams.SessionOptions(seed=seed))
    hello = ams.protocol.Hello(
        device_id="test", manifest_digest=state.manifest.digest, held=state.version
    )
    session.on_message(hello, 0)
    times = [float(i) for i in range(len(samples))]
    batch = ams.protocol.FrameBatch(batch_id=1, capture_seconds=times, bitstream=b"frames")
    session.on_message(batch, len(samples))
    session.on_labelled(1, list(zip(times, samples, strict=True)), len(samples))
    assert session.training_due
    return session, session.begin_phase(len(samples))
