"""Makes a student checkpoint from clips, which remembers them."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tqdm import tqdm

from ams import sim
from ams.experiments.checkpoint import read_clips, read_recipe, write_clips
from ams.experiments.environment import code_digest, versions
from ams.experiments.job import ClipFile, StudentFile
from ams.experiments.report import write_json

log = logging.getLogger(__name__)


def pretrain_student(
    clips: Sequence[ClipFile],
    output: Path,
    *,
    student: StudentFile,
    steps: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
    max_seconds: float | None,
    recipe: str = "",
) -> None:
    """Distils the labels of the clips into a student, batch norm included, and writes it to
    `output`.

    student.weights: where training starts; without them, values drawn from the seed. The loss is
    over all classes. The file names the clips, those that its starting weights name, and the
    recipe. Raises as ams.torch.pretrain.
    """
    from ams.torch import StudentSpec, pretrain

    spec = StudentSpec(
        network=student.network,
        weights=student.weights,
        num_classes=student.num_classes,
        input_width=student.input_width,
        input_height=student.input_height,
        seed=seed,
    )
    samples: list[object] = []
    ignore_ids: set[int] = set()
    for clip in tqdm(clips, desc="reading clips", unit="clip"):
        more, ignore_id = read_samples(clip, student.input_width, student.input_height, max_seconds)
        samples += more
        ignore_ids.add(ignore_id)
    if len(ignore_ids) > 1:
        raise ValueError(f"the clips have different values of ignore_id: {sorted(ignore_ids)}")
    result = pretrain(
        spec,
        samples,
        output,
        steps=steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        warmup_steps=min(50, steps),
        ignore_id=ignore_ids.pop(),
        seed=seed,
    )
    known = read_clips(Path(student.weights)) if student.weights else []
    named = list(dict.fromkeys([*known, *(clip.identity for clip in clips)]))
    write_clips(output, named, recipe=recipe)
    log.info("%s: loss %.4f after %d steps", output, result.loss, result.steps)


def read_samples(
    clip: ClipFile, width: int, height: int, max_seconds: float | None
) -> tuple[list[object], int]:
    """Every labelled frame, at twice the student's input size at most (it is scaled to it all the
    same), and the id of pixels that nobody labelled."""
    from ams import video
    from ams.torch import LabelledFrame

    stream = sim.Stream([clip.folder], max_seconds=max_seconds or 1e9)
    samples = []
    for frame in stream.frames():
        if frame.labels is None:
            continue
        image = frame.image
        if image.shape[1] > 2 * width and image.shape[0] > 2 * height:
            image = video.scale_frame(image, width=2 * width, height=2 * height)
        samples.append(LabelledFrame(image, frame.labels))
    return samples, stream.ignore_id


def pretrain_command(
    clips: Sequence[ClipFile],
    out: Path,
    *,
    leave_one_out: bool,
    settings: dict[str, object],
    seed: int,
    **arguments: object,
) -> list[Path]:
    """Writes OUT/student.safetensors, or OUT/without_<clip>.safetensors for each clip, trained on
    the others.

    Checkpoints that are there already are kept, so that the command can be interrupted; one that
    was made in another way raises ValueError.
    """
    plan = [(out / "student.safetensors", list(clips))]
    if leave_one_out:
        plan = [
            (
                out / f"without_{left.identity.name}.safetensors",
                [clip for clip in clips if clip is not left],
            )
            for left in clips
        ]
    out.mkdir(parents=True, exist_ok=True)
    for output, members in plan:
        recipe = _recipe(members, seed=seed, **arguments)
        if output.exists():
            if read_recipe(output) != recipe:
                raise ValueError(
                    f"{output} is there already, made with other settings, clips or code: delete "
                    "it, or name another --out"
                )
            log.info("%s is there already", output)
            continue
        unnamed = output.with_name(output.name + ".unnamed")
        try:
            pretrain_student(members, unnamed, seed=seed, recipe=recipe, **arguments)
            unnamed.replace(output)
        finally:
            unnamed.unlink(missing_ok=True)
    write_json(
        out / "pretrain.json",
        experiment="pretrain",
        seed=seed,
        settings=settings,
        content={
            "checkpoints": [
                {"file": output.name, "clips": [clip.identity.name for clip in members]}
                for output, members in plan
            ]
        },
    )
    return [output for output, _ in plan]


def _recipe(clips: Sequence[ClipFile], *, student: StudentFile, **settings: object) -> str:
    """The same for checkpoints that come out the same; no paths."""
    start = asdict(student)
    del start["weights"]  # their digest stays
    start["network"] = Path(student.network).name
    content = {
        "clips": [asdict(clip.identity) for clip in clips],
        "student": start,
        "settings": settings,
        "code": code_digest(),
        "torch": versions()["torch"],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
