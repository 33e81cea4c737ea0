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


@dataclass(frozen=True)
class ClipIdentity:
    """Says which clip it is, wherever its folder lies. digest: SHA-256 of its three files,
    hexadecimal."""

    name: str
    digest: str


def identify_clip(folder: Path) -> ClipIdentity:
    """Raises OSError when a file is missing and ValueError when clip.json is not JSON."""
    digest = hashlib.sha256()
    for name in ("clip.json", "labels.mkv", "video.mp4"):
        digest.update(file_digest(folder / name).encode())
    info = json.loads((folder / "clip.json").read_text(encoding="utf-8"))
    return ClipIdentity(str(info.get("name") or folder.resolve().name), digest.hexdigest())


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
    metadata = _read(checkpoint)[0].get("__metadata__", {})
    return [ClipIdentity(**clip) for clip in json.loads(metadata.get(CLIPS_KEY, "[]"))]


def write_clips(checkpoint: Path, clips: Sequence[ClipIdentity]) -> None:
    """Makes a safetensors file name these clips; replaces it at once or not at all."""
    header, tensors = _read(checkpoint)
    metadata = header.setdefault("__metadata__", {})
    metadata[CLIPS_KEY] = json.dumps([asdict(clip) for clip in clips])
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    partial = checkpoint.with_name(checkpoint.name + ".partial")
    partial.write_bytes(struct.pack("<Q", len(text)) + text + tensors)
    os.replace(partial, checkpoint)


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


def _read(path: Path) -> tuple[dict, bytes]:
    content = path.read_bytes()
    try:
        (size,) = struct.unpack_from("<Q", content)
        if size > len(content) - 8:
            raise ValueError("the header is longer than the file")
        header = json.loads(content[8 : 8 + size])
    except (struct.error, ValueError) as error:
        raise ValueError(f"{path} is not a safetensors file: {error}") from error
    return header, content[8 + size :]
