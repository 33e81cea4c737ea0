import copy
import pickle

import numpy as np
import pytest

import ams

TENSORS = [("conv.weight", (2, 3, 1, 1)), ("scale", ()), ("bn.mean", (4,), "statistic")]


def test_lays_tensors_out_one_after_another():
    manifest = ams.Manifest(TENSORS)
    assert manifest.dimension == 11
    assert manifest.has_statistics
    assert [(t.name, t.shape, t.kind, t.offset, t.size) for t in manifest.tensors] == [
        ("conv.weight", (2, 3, 1, 1), "parameter", 0, 6),
        ("scale", (), "parameter", 6, 1),
        ("bn.mean", (4,), "statistic", 7, 4),
    ]
    assert [manifest.tensor_of(i) for i in (0, 5, 6, 7, 10)] == [0, 0, 1, 2, 2]
    with pytest.raises(ams.InvalidArgumentError):
        manifest.tensor_of(11)


def test_the_digest_is_that_of_the_documented_bytes():
    def mix64(x):
        mask = 2**64 - 1
        x = (x + 0x9E3779B97F4A7C15) & mask
        x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & mask
        x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & mask
        return x ^ (x >> 31)

    data = len(TENSORS).to_bytes(4, "little")
    for name, shape, *kind in TENSORS:
        data += len(name).to_bytes(4, "little") + name.encode()
        data += bytes([1 if kind == ["statistic"] else 0, len(shape)])
        data += b"".join(extent.to_bytes(8, "little") for extent in shape)
    digest = mix64(len(data))
    for i in range(0, len(data), 8):
        digest = mix64(digest ^ int.from_bytes(data[i : i + 8].ljust(8, b"\0"), "little"))
    assert ams.Manifest(TENSORS).digest == digest


def test_equal_when_all_is_equal():
    manifest = ams.Manifest(TENSORS)
    assert manifest == ams.Manifest(manifest.tensors)
    assert manifest != ams.Manifest(TENSORS[:2])
    assert pickle.loads(pickle.dumps(manifest)) == manifest
    assert copy.deepcopy(manifest) == manifest
    assert hash(manifest) == hash(ams.Manifest(TENSORS))


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ([("a", (1,)), ("a", (2,))], "a"),
        ([("", (1,))], "name"),
        ([("a", (0,))], "a"),
        ([("a", (-3,))], "a"),
        ([("a", (2.5,))], "shape of tensor 'a'"),
        ([("a", (1,), "weights")], "'parameter', 'statistic'"),
        ([("a", (1,), "parameter", "tail")], "'weight', 'normalization', 'head'"),
        ([("a", 5)], r"shape of tensor 'a' is 5; allowed are extents"),
        ([("a",)], r"\(name, shape\)"),
        ([7], r"\(name, shape\)"),
        ([("a", (2**32,))], "values"),
    ],
)
def test_refuses_what_is_no_layout(tensors, message):
    with pytest.raises(ams.InvalidArgumentError, match=message):
        ams.Manifest(tensors)


def roles(manifest):
    return [t.role for t in manifest.tensors]


def test_roles_are_given_or_named_by_pattern():
    manifest = ams.Manifest(
        [
            ("stem.weight", (4,)),
            ("stem.bn.weight", (4,), "parameter", "normalization"),
            ("stem.bn.running_mean", (4,), "statistic"),
            ("classifier.weight", (8,), "parameter", "head"),
            ("last.weight", (2,)),
        ]
    )
    assert roles(manifest) == ["weight", "normalization", "weight", "head", "weight"]
    assert roles(ams.Manifest(manifest.tensors)) == roles(manifest)
    assert roles(pickle.loads(pickle.dumps(manifest))) == roles(manifest)

    other = manifest.with_roles(head=["last.*"])
    assert roles(other) == ["weight", "normalization", "weight", "weight", "head"]
    assert other == manifest and other.digest == manifest.digest  # only who trains needs roles
    both = manifest.with_roles(normalization=["stem.??.weight", "l*"], head=["las*"])
    assert roles(both) == ["weight", "normalization", "weight", "weight", "head"]
    assert roles(manifest.with_roles()) == roles(manifest)
    with pytest.raises(ams.InvalidArgumentError, match="decoder"):
        manifest.with_roles(head=["last.*", "decoder.*"])
    with pytest.raises(ams.InvalidArgumentError, match="running_mean"):
        manifest.with_roles(normalization=["*.running_mean"])  # no parameter
    with pytest.raises(TypeError):
        manifest.with_roles(["last.*"])


def test_learning_rates_by_size():
    manifest = ams.Manifest(
        [("weight", (4, 3)), ("bias", (4,)), ("head", (2, 4), "parameter", "head")]
    )
    values = np.concatenate([np.full(12, 0.1), np.full(4, 0.1), np.full(8, -0.8)])
    values = values.astype(np.float32)
    scales = ams.learning_rate_scales(manifest, values)
    assert scales == pytest.approx([0.25, 1, 1])
    ranges = ams.learning_rate_ranges(manifest, weight_multiplier=8, tensor_scales=scales)
    assert [r[:2] for r in ranges] == [(0, 12), (12, 16)]
    assert [r[2] for r in ranges] == pytest.approx([2, 8])
    with pytest.raises(ams.InvalidArgumentError, match="23"):
        ams.learning_rate_scales(manifest, values[1:])
    for wrong in ([1, 1], [1, 1, 2], [1, 1, 0]):
        with pytest.raises(ams.InvalidArgumentError):
            ams.learning_rate_ranges(manifest, tensor_scales=wrong)
    with pytest.raises(ams.InvalidArgumentError, match=r"\(name, shape\)"):
        ams.Manifest([("w", (1,), "parameter", "weight", 0.5)])


def test_what_differs_is_named():
    one = ams.Manifest([("stem", (8, 3)), ("head", (4, 8)), ("mean", (4,), "statistic")])
    other = ams.Manifest([("stem", (8, 3)), ("head", (5, 8)), ("bias", (5,))])
    assert one.difference(one) == ""
    assert one.difference(one.with_roles(head=["head"])) == ""
    assert one.difference(other) == (
        "only this has 'mean'; only the other has 'bias'; "
        "'head' is [4, 8] in this and [5, 8] in the other"
    )
    assert "in the server and [5, 8] in the device" in one.difference(
        other, "the server", "the device"
    )
