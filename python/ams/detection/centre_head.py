"""An anchor-free head: what its maps mean, and its loss (objects as points, Zhou et al. 2019).

A network gives [N, (classes + 4) * k * k, h, w]; with k > 1 each cell is split into k x k finer
ones (torch's pixel_shuffle). Of the maps [classes + 4, k h, k w] the first are the logits that a
cell has the centre of an object of a class; the last four are where the centre lies in the cell (x,
y), and the logarithms of the box's width and height in cells.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

import ams

if TYPE_CHECKING:
    from ams.torch import Network

GEOMETRY_MAPS = 4
_RARE = -2.19  # the logit of 0.1


def map_channels(class_count: int, finer: int = 1) -> int:
    """Output channels of a network for so many classes: (class_count + 4) * finer * finer. With
    `open_network(name, num_classes=map_channels(...))` a network of the library is a detector;
    finer=2 doubles the resolution of its maps."""
    return (class_count + GEOMETRY_MAPS) * finer * finer


def centre_maps(outputs: torch.Tensor, class_count: int) -> torch.Tensor:
    """The maps, [N, classes + 4, H, W], of a network's outputs [N, (classes + 4) * k * k, h, w].
    Raises ams.InvalidArgumentError for another number of channels."""
    of_cell = class_count + GEOMETRY_MAPS
    finer = math.isqrt(outputs.shape[1] // of_cell) if outputs.dim() == 4 else 0
    if finer < 1 or outputs.shape[1] != map_channels(class_count, finer):
        raise ams.InvalidArgumentError(
            f"the network's outputs are {list(outputs.shape)}; a detector of {class_count} classes "
            f"gives [N, {of_cell} * k * k, height, width] with k = 1, 2, ..."
        )
    return functional.pixel_shuffle(outputs, finer)


def centre_loss(
    outputs: torch.Tensor, labels: Sequence[np.ndarray], class_count: int
) -> torch.Tensor:
    """The loss of a network's outputs against labels, one set of boxes for each picture: focal loss
    of the centres, less strict around them, and the mean distance (L1) of the four other maps at
    the centres. A scalar; finite for any finite outputs."""
    maps = centre_maps(outputs, class_count).float()
    height, width = maps.shape[2:]
    parts = [_targets(boxes, class_count, height, width) for boxes in labels]
    heat = torch.from_numpy(np.stack([part[0] for part in parts])).to(maps.device)
    logits = maps[:, :class_count]
    is_centre = heat == 1
    log_yes, log_no = functional.logsigmoid(logits), functional.logsigmoid(-logits)
    yes = torch.sigmoid(logits)
    focal = torch.where(
        is_centre, (1 - yes) ** 2 * log_yes, (1 - heat) ** 4 * yes**2 * log_no
    ).sum()
    count = sum(len(part[1]) for part in parts)
    if count == 0:
        return -focal
    pictures = np.repeat(np.arange(len(parts)), [len(part[1]) for part in parts])
    cells = torch.from_numpy(np.concatenate([part[1] for part in parts])).to(maps.device)
    wanted = torch.from_numpy(np.concatenate([part[2] for part in parts])).to(maps.device)
    places = torch.from_numpy(pictures).to(maps.device)
    given = maps[places, class_count:, cells[:, 0], cells[:, 1]]
    return -focal / count + functional.l1_loss(given, wanted, reduction="sum") / count


def prepare_head(network: torch.nn.Module | Network, class_count: int) -> None:
    """Sets the biases of the last layer so that a network that has learned nothing sees objects
    nowhere: training then begins without a jump. The last layer must have biases. Raises
    ams.InvalidArgumentError for a network with other outputs."""
    name, bias = [(name, p) for name, p in network.named_parameters() if p.dim() == 1][-1]
    of_cell = class_count + GEOMETRY_MAPS
    if len(bias) % of_cell != 0:
        raise ams.InvalidArgumentError(
            f"the network's last biases, '{name}', are {len(bias)}; those of a detector of "
            f"{class_count} classes are {of_cell} * k * k"
        )
    with torch.no_grad():
        bias[: len(bias) * class_count // of_cell] = _RARE


def _targets(
    boxes: np.ndarray, class_count: int, height: int, width: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Heat map [classes, height, width], 1 at centres; cells [n, 2] (row, column); geometry
    [n, 4]. Of two centres of any class in one cell both count."""
    heat = np.zeros((class_count, height, width), np.float32)
    left, top, right, bottom, classes = (boxes[:, k].astype(np.float64) for k in range(5))
    sizes = np.stack([(right - left) * width, (bottom - top) * height], 1)
    x, y = (left + right) / 2 * width, (top + bottom) / 2 * height
    column = np.minimum(x.astype(np.int64), width - 1)
    row = np.minimum(y.astype(np.int64), height - 1)
    for k in range(len(boxes)):
        # A third of the box on either side is nearly as good a centre.
        spread = np.maximum(sizes[k] / 9, 0.35)
        near_x = np.exp(-0.5 * ((np.arange(width) - column[k]) / spread[0]) ** 2)
        near_y = np.exp(-0.5 * ((np.arange(height) - row[k]) / spread[1]) ** 2)
        kind = heat[int(classes[k])]
        np.maximum(kind, np.outer(near_y, near_x).astype(np.float32), out=kind)
        kind[row[k], column[k]] = 1
    cells = np.stack([row, column], 1)
    geometry = np.concatenate(
        [np.stack([x - column, y - row], 1), np.log(np.maximum(sizes, 1e-6))], 1
    ).astype(np.float32)
    return heat, cells, geometry
