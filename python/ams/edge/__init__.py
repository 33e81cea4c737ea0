"""A device without torch: runs a student bundle in ONNX Runtime while a server adapts it.

The command does what ams-edge does: `python -m ams.edge --help`. In a program of your own:

    with ams.edge.Device("x.bundle", server="host:8443", ca="certificate.pem", token=...) as device:
        for seconds, frame in camera:
            labels = device.predict(frame)
            device.offer(seconds, frame)

or, with a video that ams.video can read, `ams.edge.play(device, ams.edge.VideoSource("camera:0"))`.
"""

from __future__ import annotations

from .._core import build_info

_LAYERS = {"video": "libav", "x264": "x264", "net": "Boost, OpenSSL and FlatBuffers"}
for _layer, _library in _LAYERS.items():
    if not build_info()["layers"][_layer]:
        raise ImportError(
            f"ams.edge needs the {_layer} layer, which this package was built without; install "
            f"{_library} (Debian: libavcodec-dev libavformat-dev libavdevice-dev libavutil-dev "
            "libswscale-dev libx264-dev nlohmann-json3-dev libboost-dev libssl-dev "
            "libflatbuffers-dev flatbuffers-compiler) and build it again: pip install "
            "--force-reinstall --no-deps <folder of libams>"
        )

from .._edge import DueFrame, PredictionOutput, VideoSource  # noqa: E402
from ..onnx_predictor import OnnxPredictor, execution_providers  # noqa: E402
from .device import Device  # noqa: E402
from .play import Played, play  # noqa: E402

__all__ = [
    "Device",
    "DueFrame",
    "OnnxPredictor",
    "Played",
    "PredictionOutput",
    "VideoSource",
    "execution_providers",
    "play",
]
