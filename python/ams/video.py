"""Video in and out: files, cameras and streams, sample buffers (section 3.2), clip folders.

Frames are uint8 [height, width, 3], RGB; label maps uint8 [height, width]. Work that takes long
runs without the GIL.
"""

from __future__ import annotations

from ._core import build_info
from ._functions import present_functions as _present_functions

if not build_info()["layers"]["video"]:
    raise ImportError(
        "ams.video needs the video layer, which this package was built without; install libav "
        "(Debian: libavcodec-dev libavformat-dev libavdevice-dev libavutil-dev libswscale-dev "
        "libx264-dev nlohmann-json3-dev) and build it again: pip install --force-reinstall "
        "--no-deps <folder of libams>, with --no-build-isolation if ams.torch is wanted"
    )

from ._video import (  # noqa: E402
    Clip,
    ClipInfo,
    ClipWriter,
    LabelTrackReader,
    VideoReader,
    VideoWriter,
    decode_samples,
    encode_samples,
    scale_frame,
)

__all__ = [
    "Clip",
    "ClipInfo",
    "ClipWriter",
    "LabelTrackReader",
    "VideoReader",
    "VideoWriter",
    "decode_samples",
    "encode_samples",
    "scale_frame",
]

_present_functions(globals(), __name__)
