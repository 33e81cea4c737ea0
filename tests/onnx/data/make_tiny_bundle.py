#!/usr/bin/env python3
"""Writes tiny.bundle, a student of 32 x 32 pixels and three classes, with nothing but onnx and numpy.

Class 0, 1 or 2 where red, green or blue is largest: a 1 x 1 convolution with the identity, batch norm, argmax.
The channels of the values decide: the test swaps them. tiny.bundle is committed; it is the same at every run.
"""

import json
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDE = 32
TENSORS = {
    "conv.weight": np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1),
    "bn.weight": np.ones(3, np.float32),
    "bn.bias": np.zeros(3, np.float32),
}
FROZEN = {"bn.mean": np.full(3, 0.5, np.float32), "bn.var": np.full(3, 4, np.float32)}


def graph():
    nodes = [
        helper.make_node("Cast", ["frame"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["float"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Mul", ["planes", "scale"], ["input"]),
        helper.make_node("Conv", ["input", "conv.weight"], ["conv"]),
        helper.make_node("BatchNormalization", ["conv", "bn.weight", "bn.bias", "bn.mean", "bn.var"], ["logits"]),
        helper.make_node("ArgMax", ["logits"], ["ids"], axis=1, keepdims=0),
        helper.make_node("Cast", ["ids"], ["labels"], to=TensorProto.UINT8),
    ]
    frame = helper.make_tensor_value_info("frame", TensorProto.UINT8, [1, SIDE, SIDE, 3])
    labels = helper.make_tensor_value_info("labels", TensorProto.UINT8, [1, SIDE, SIDE])
    constants = {**TENSORS, **FROZEN, "scale": np.float32(1 / 255).reshape(())}
    model = helper.make_model(
        helper.make_graph(nodes, "tiny", [frame], [labels],
                          [numpy_helper.from_array(value, name) for name, value in constants.items()]),
        opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="libams")
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


def main():
    content = graph()
    manifest = {
        "format": "ams-student-bundle", "version": 1, "fingerprint": "00000000000000aa",
        "input": {"width": SIDE, "height": SIDE},
        "normalization": {"mean": [0, 0, 0], "standard_deviation": [1, 1, 1]},
        "num_classes": 3, "class_names": None, "selected_classes": [], "train_batch_norm_statistics": False,
        "network": "network.pt",
        "tensors": [{"name": name, "shape": list(value.shape), "kind": "parameter"} for name, value in TENSORS.items()],
        "onnx": {"file": "network.onnx", "tensors": [
            # Behind the tensor's name; numpy_helper writes raw data after it: field 9, length, bytes.
            {"name": name, "offset": place(content, name, value)} for name, value in TENSORS.items()]},
    }
    entries = {
        "bundle.json": json.dumps(manifest, indent=1).encode(),
        "values.bin": b"".join(value.tobytes() for value in TENSORS.values()),
        "network.onnx": content,
        "network.pt": b"nothing reads this",
    }
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("tiny.bundle")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED)


def place(content, name, value):
    """The offset of the raw data of an initialiser: beside its name, between `J`, its size, and its bytes."""
    raw = value.tobytes()
    mark = b"B" + bytes([len(name)]) + name.encode() + b"J" + bytes([len(raw)]) + raw
    assert content.count(mark) == 1, name
    return content.index(mark) + len(mark) - len(raw)


if __name__ == "__main__":
    main()
