"""A real server and its devices from Python: any network, any task, any teacher.

    ams.serve(model, teacher)                                 # runs until Ctrl-C
    with ams.Server(model, teacher, port=0) as server: ...    # a handle
    with ams.Device("127.0.0.1:8443", model, ca=...) as device: ...

It speaks the protocol of `ams-server`: devices are ams.Device, `python -m ams.edge` and `ams-edge`.
Importing it imports no torch.
"""

from __future__ import annotations

from .device import Device
from .segmentation import SegmentationTask
from .server import Server, serve
from .store import SqliteStore
from .task import ModuleTask

__all__ = ["Device", "ModuleTask", "SegmentationTask", "Server", "SqliteStore", "serve"]
