"""Students that see boxes, on torch: an anchor-free head for any network, and a small network.

    task = ams.detection.DetectionTask(["person", "car"], input_size=(96, 192))
    student = CentreNet(2)
    trainer = ams.torch.ModuleTrainer(student, loss=task.loss, collate=task.collate)

A network of the library is a detector too: `open_network("edanet", num_classes=map_channels(2,
finer=2))`, and then `prepare_head(network, 2)`.
"""

from __future__ import annotations

from .centre_head import centre_loss, centre_maps, map_channels, prepare_head
from .centre_net import CentreNet, load_network, save_network

__all__ = [
    "CentreNet",
    "centre_loss",
    "centre_maps",
    "load_network",
    "map_channels",
    "prepare_head",
    "save_network",
]
