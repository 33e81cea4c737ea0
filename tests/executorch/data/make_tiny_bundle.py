#!/usr/bin/env python3
"""Writes tiny.bundle, a student of 32 x 32 pixels and three classes, for ExecuTorch too.

Class 0, 1 or 2 where red, green or blue is largest: a 1 x 1 convolution with the identity, then batch norm. The
channels of the convolution decide: the test swaps them. tiny.bundle is committed. Needs the package ams with torch,
onnx and executorch.
"""

import sys
import tempfile
from pathlib import Path

import torch

from ams import export
from ams.torch import StudentSpec

SIDE = 32


class Tiny(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 3, 1, bias=False)
        self.bn = torch.nn.BatchNorm2d(3)
        with torch.no_grad():
            self.conv.weight.copy_(torch.eye(3).view(3, 3, 1, 1))
            self.bn.running_mean.fill_(0.5)
            self.bn.running_var.fill_(4)

    def forward(self, x):
        return self.bn(self.conv(x))


def main():
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("tiny.bundle")
    with tempfile.TemporaryDirectory() as folder:
        written = export.student(Tiny(), Path(folder, "tiny.pt"), input_size=(SIDE, SIDE))
        spec = StudentSpec(
            network=str(written.path), num_classes=3, input_width=SIDE, input_height=SIDE, mean=[0, 0, 0],
            standard_deviation=[1, 1, 1])
        export.bundle(spec, path, executorch=True)


if __name__ == "__main__":
    main()
