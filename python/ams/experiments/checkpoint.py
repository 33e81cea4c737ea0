"""What a student checkpoint was trained on, in its own file."""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

CLIPS_KEY = "ams_pretrained_on"
RECIPE_KEY = "ams_pretrained_by"


@dataclass(frozen=True)
class ClipIdentity:
    """Says which clip it is, wherever its folder lies. digest: SHA-256 of its three files,
    hexadecimal."""

    name: str
    digest: str


def identify_clip(folder: Path) -> ClipIdentity:
    """Raises ValueError where it is no clip folder, and what ams.video.Clip raises."""
    from ams.video import Clip

    digest = hashlib.sha256()
    names = ("clip.json", "labels.mkv", "video.mp4")
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise ValueError(
            f"'{folder}' is not a clip folder: it has no {' and no '.join(missing)} "
            "(ams-label makes one of a video, ams-render of a rendered street)"
        )
    for name in names:
        digest.update(file_digest(folder / name).encode())
    return ClipIdentity(Clip(folder).info.name, digest.hexdigest())


def file_digest(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def read_clips(checkpoint: Path) -> list[ClipIdentity]:
    """The clips that a safetensors checkpoint names as its training data; none when it names none.

    Raises ValueError when the file is not safetensors.
    """
    metadata = _read_header(checkpoint)[0].get("__metadata__", {})
    try:
        return [ClipIdentity(**clip) for clip in json.loads(metadata.get(CLIPS_KEY, "[]"))]
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"{checkpoint} names its clips in an unknown way: {error}") from error


def read_recipe(checkpoint: Path) -> str | None:
    """What write_clips was given; None for a file that it did not write."""
    return _read_header(checkpoint)[0].get("__metadata__", {}).get(RECIPE_KEY)


def write_clips(checkpoint: Path, clips: Sequence[ClipIdentity], *, recipe: str) -> None:
    """Makes a safetensors file name these clips, and `recipe`, whatever else it was made with;
    replaces it at once or not at all."""
    header, begin = _read_header(checkpoint)
    tensors = checkpoint.read_bytes()[begin:]
    metadata = header.setdefault("__metadata__", {})
    metadata[RECIPE_KEY] = recipe
    metadata[CLIPS_KEY] = json.dumps([asdict(clip) for clip in clips])
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    partial = checkpoint.with_name(checkpoint.name + ".partial")
    try:
        partial.write_bytes(struct.pack("<Q", len(text)) + text + tensors)
        os.replace(partial, checkpoint)
    finally:
        partial.unlink(missing_ok=True)


def refuse_known_clips(checkpoint: Path, clips: Sequence[ClipIdentity]) -> None:
    """Raises ValueError when the checkpoint was trained on one of these clips, by name or by
    content."""
    known = read_clips(checkpoint)
    for clip in clips:
        if any(clip.name == other.name or clip.digest == other.digest for other in known):
            raise ValueError(
                f"{checkpoint} was pre-trained on {clip.name}, so it is not evaluated on it; "
                "make one without: `pretrain --leave-one-out`, then "
                "--weights '.../without_{clip}.safetensors'"
            )


def _read_header(path: Path) -> tuple[dict, int]:
    """The JSON header of a safetensors file, and where its tensors begin."""
    try:
        with open(path, "rb") as file:
            (size,) = struct.unpack("<Q", file.read(8))
            if size > path.stat().st_size - 8:
                raise ValueError("the header is longer than the file")
            header = json.loads(file.read(size))
        if not isinstance(header, dict):
            raise ValueError("the header is not an object")
    except (struct.error, ValueError) as error:
        raise ValueError(f"{path} is not a safetensors file: {error}") from error
    return header, 8 + size
