"""What the tests of ams.sim and ams.experiments share: rendered clips, and a small student.

Importing it skips a module where a layer is missing.
"""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

import pytest

import ams

_layers = ams.build_info()["layers"]
for _name in ("video", "x264", "net", "torch"):
    if not _layers[_name]:
        pytest.skip(f"this build of libams has no {_name} layer", allow_module_level=True)
pytest.importorskip("torch")
pytest.importorskip("cv2")

from ams import sim, synthetic, video  # noqa: E402
from ams.torch import StudentSpec, set_compute_threads  # noqa: E402

set_compute_threads(1)

WEIGHTS = Path(__file__).resolve().parents[2] / "examples" / "data" / "street_edanet.safetensors"


@functools.cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="ams-clips-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@functools.cache
def clip(
    name: str = "street",
    *,
    seconds: float = 16,
    fps: float = 4,
    label_stride: int = 2,
    size: tuple[int, int] = (128, 64),
    schedule: str = "0:downtown/dusk,8:industrial/rain",
    seed: int = 3,
) -> Path:
    """A rendered clip folder, made once for equal arguments."""
    width, height = size
    street = synthetic.Street(
        seed=seed, width=width, height=height, fps=fps, seconds=seconds, schedule=schedule
    )
    info = video.ClipInfo(
        name=name,
        fps=fps,
        label_stride=label_stride,
        classes=synthetic.street_class_names(),
        eval_classes=synthetic.street_eval_classes(),
    )
    folder = _folder() / f"{name}-{len(list(_folder().iterdir()))}"
    with video.ClipWriter(folder, info, preset="ultrafast") as writer:
        for index in range(len(street)):
            frame, labels = street.render(index)
            if writer.wants_labels:
                writer.add(frame, labels)
            else:
                writer.add(frame)
    return folder


def setting(**changes) -> sim.Setting:
    """A small input of the student that was pre-trained on fair weather, and cheap work."""
    values = {
        "student": StudentSpec(
            network="edanet", weights=str(WEIGHTS), input_width=64, input_height=32
        ),
        "costs": sim.Costs(teacher_seconds=0.05, encode_seconds=0.2),
        "seed": 1,
    }
    return sim.Setting(**{**values, **changes})


def fast_ams(**changes) -> sim.AMS:
    """The paper's settings with few and small steps, often."""
    values = {
        "iterations": 3,
        "batch_size": 2,
        "update_interval_seconds": 3,
        "first_batch_seconds": 4,
        "learning_rate": 2e-3,
    }
    return sim.AMS(**{**sim.paper_settings(), **values, **changes})
