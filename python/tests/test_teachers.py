"""Teachers' class maps and adapters that need no torch: ONNX files and inference servers."""

import subprocess
import sys

import numpy as np
import pytest

import ams
from ams import detection, synthetic, teachers


def frames(count=2, height=24, width=32, seed=1):
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (count, height, width, 3), dtype=np.uint8)


# ---- Classes


def test_lists_of_class_names():
    sizes = {
        "ade20k": 150,
        "camvid": 11,
        "camvid12": 12,
        "cityscapes": 19,
        "coco80": 80,
        "coco91": 91,
        "voc": 21,
    }
    for name, size in sizes.items():
        names = [each for each in teachers.class_names(name) if each != "N/A"]
        assert len(teachers.class_names(name)) == size
        assert len(set(names)) == len(names) and all(names)
    assert list(teachers.class_names("Cityscapes")) == synthetic.street_class_names()
    with pytest.raises(ams.InvalidArgumentError, match="'cityscape': did you mean 'cityscapes'"):
        teachers.class_names("cityscape")


def test_a_class_map_goes_by_names():
    mapped = teachers.class_map("cityscapes", ["Road", "pedestrian", "car"], also={"car": "truck"})
    ids = np.array([[0, 11, 13], [14, 1, 255]])
    assert mapped(ids).tolist() == [[0, 1, 2], [2, 255, 255]]
    assert mapped(ids).dtype == np.uint8
    assert str(mapped).splitlines() == ["0 Road: road", "1 pedestrian: person", "2 car: car, truck"]
    mapped = teachers.class_map("coco91", ["tv_monitor", "Motor-Bike", "person"])
    assert [mapped.table[i] for i in (72, 4, 1, 3)] == [0, 1, 2, 255]
    # The very name comes before a synonym.
    mapped = teachers.class_map(["people", "person"], ["person", "people"])
    assert mapped.table.tolist() == [1, 0]
    mapped = teachers.class_map("voc", "cityscapes", allow_missing=True)
    assert mapped(np.array([7, 15, 12])).tolist() == [13, 11, 255]
    mapped = teachers.class_map(
        "ade20k", ["greens", "road"], also={"greens": ["tree", "grass", "plant", "palm"]}
    )
    assert np.flatnonzero(mapped.table == 0).tolist() == [4, 9, 17, 72]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("cityscapes", ["road", "vegetatoin"]), "called 'vegetatoin': near it are 'vegetation';"),
        (("cityscapes", ["light"]), "near it are 'traffic light'"),
        (("voc", ["road", "sky", "car"]), r"called 'road' or 'sky'.*also=.*allow_missing=True"),
        (("voc", ["qqqq"]), "there are background, aeroplane, .* and 1 more"),
        (("voc", ["car"], {"cars": "bus"}), "no target class is called 'cars': near it are 'car'"),
        (("voc", ["car"], {"car": ["truk"]}), "no source class is called 'truk'"),
        (("city", ["car"]), "'city': .*known are ade20k, camvid"),
        (([], ["car"]), "source is"),
        (("voc", [f"class {i}" for i in range(256)]), "target has 256 classes; allowed are 255"),
    ],
)
def test_unknown_names_are_refused_with_near_ones(arguments, message):
    source, target, *also = arguments
    with pytest.raises(ams.InvalidArgumentError, match=message):
        teachers.class_map(source, target, also=also[0] if also else None)


def test_ids_of_another_teacher_are_refused():
    mapped = teachers.class_map("voc", ["car"])
    for ids in ([21], [-1], [300]):
        with pytest.raises(ams.InvalidArgumentError, match=f"class {ids[0]}; .* 21 classes"):
            mapped(np.array(ids))


def test_importing_teachers_imports_no_library():
    code = (
        "import sys, ams.teachers; assert not {'torch', 'torchvision', 'transformers', "
        "'onnxruntime'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("library", "use"),
    [
        ("torch", lambda: teachers.TorchvisionTeacher(object())),
        ("torchvision", lambda: teachers.TorchvisionTeacher("fcn_resnet50")),
        ("transformers", lambda: teachers.TransformersTeacher("no-such-folder")),
        ("onnxruntime", lambda: teachers.OnnxTeacher("no-such-file")),
    ],
)
def test_a_missing_library_is_named(library, use, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ams.UnavailableError, match=f"pip install {library}.*libams.teachers"):
        use()


# ---- ONNX files


def onnx_model(path, nodes, inputs, outputs, constants=()):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    helper, types = onnx.helper, onnx.TensorProto
    kinds = {"f": types.FLOAT, "u": types.UINT8, "i": types.INT64, "h": types.FLOAT16}

    def infos(described):
        return [helper.make_tensor_value_info(n, kinds[k], shape) for n, k, shape in described]

    graph = helper.make_graph(
        [helper.make_node(*node[:3], **node[3]) for node in nodes],
        "teacher",
        infos(inputs),
        infos(outputs),
        [onnx.numpy_helper.from_array(value, name) for name, value in constants],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return str(path)


WEIGHTS = np.random.default_rng(2).normal(size=(5, 3, 1, 1)).astype(np.float32)


def segmenter(path, size=("h", "w"), batch="n"):
    """Logits of five classes at half the size."""
    return onnx_model(
        path,
        [
            ("AveragePool", ["x"], ["small"], {"kernel_shape": [2, 2], "strides": [2, 2]}),
            ("Conv", ["small", "weights"], ["logits"], {}),
        ],
        [("x", "f", [batch, 3, *size])],
        [("logits", "f", [batch, 5, None, None])],
        [("weights", WEIGHTS)],
    )


def logits_of(given):
    normal = (given / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    n, height, width, _ = given.shape
    small = normal.reshape(n, height // 2, 2, width // 2, 2, 3).mean(axis=(2, 4))
    return np.einsum("kc,nhwc->nkhw", WEIGHTS[:, :, 0, 0], small)


def test_an_onnx_file_gives_the_class_with_the_largest_logit(tmp_path):
    teacher = teachers.OnnxTeacher(segmenter(tmp_path / "teacher.onnx"), threads=1)
    given = frames(3)
    labels = teacher(given)
    assert labels.dtype == np.uint8 and labels.shape == (3, 24, 32)
    # At the middle of four equal weights, so compare where the nearest logits agree.
    nearest = logits_of(given).argmax(1).repeat(2, axis=1).repeat(2, axis=2)
    assert (labels == nearest).mean() > 0.6
    assert (labels[:, 0, 0] == nearest[:, 0, 0]).all()  # corners have one neighbour
    assert np.array_equal(teacher(given[1]), labels[1])
    mapped = teachers.class_map(list("abcde"), ["c", "a"])
    own = teachers.OnnxTeacher(tmp_path / "teacher.onnx", classes=mapped, batch_size=2)
    assert np.array_equal(own(given), mapped(labels)) and own.classes == ("c", "a")
    # What it sees is smaller, its labels are not.
    small = teachers.OnnxTeacher(tmp_path / "teacher.onnx", input_size=(12, 16))(given)
    assert small.shape == (3, 24, 32)


def test_logits_are_resized_as_torch_does(tmp_path):
    torch = pytest.importorskip("torch")
    teacher = teachers.OnnxTeacher(segmenter(tmp_path / "teacher.onnx"))
    given = frames(1)
    logits = torch.from_numpy(logits_of(given)).float()
    expected = torch.nn.functional.interpolate(logits, (24, 32), mode="bilinear").argmax(1)
    assert (teacher(given) == expected.numpy()).mean() > 0.999


def test_a_fixed_batch_is_filled_up(tmp_path):
    given = frames(3)
    fixed = segmenter(tmp_path / "fixed.onnx", size=(24, 32), batch=2)
    expected = teachers.OnnxTeacher(segmenter(tmp_path / "open.onnx"))(given)
    assert np.array_equal(teachers.OnnxTeacher(fixed)(given), expected)
    with pytest.raises(ams.InvalidArgumentError, match="24 x 32 alone"):
        teachers.OnnxTeacher(fixed, input_size=(48, 32))


def test_an_onnx_file_of_pixels_that_gives_ids(tmp_path):
    """uint8 [N, H, W, 3] to the channel that is the largest."""
    path = onnx_model(
        tmp_path / "ids.onnx",
        [
            ("Cast", ["x"], ["float"], {"to": 1}),
            ("ArgMax", ["float"], ["ids"], {"axis": 3, "keepdims": 0}),
        ],
        [("x", "u", ["n", 8, 8, 3])],
        [("ids", "i", ["n", 8, 8])],
    )
    ids = np.random.default_rng(3).integers(0, 3, (2, 8, 8))
    given = np.eye(3, dtype=np.uint8)[ids] * 200
    assert np.array_equal(teachers.OnnxTeacher(path)(given), ids)
    larger = given.repeat(2, axis=1).repeat(3, axis=2)
    expected = ids.repeat(2, axis=1).repeat(3, axis=2)
    assert np.array_equal(teachers.OnnxTeacher(path)(larger), expected)


BOXES = np.array([[[0, 1, 8, 9], [2, 2, 4, 4], [1, 1, 3, 3]]], np.float32)


def detector(path):
    return onnx_model(
        path,
        [
            ("Identity", ["b"], ["boxes"], {}),
            ("Identity", ["l"], ["labels"], {}),
            ("Identity", ["s"], ["scores"], {}),
        ],
        [("x", "f", [1, 3, 12, 16])],
        [("boxes", "f", [1, 3, 4]), ("labels", "i", [1, 3]), ("scores", "f", [1, 3])],
        [
            ("b", BOXES),
            ("l", np.array([[3, 1, 3]])),
            ("s", np.array([[0.9, 0.8, 0.2]], np.float32)),
        ],
    )


def test_an_onnx_detector_gives_boxes_of_the_frame(tmp_path):
    teacher = teachers.OnnxTeacher(detector(tmp_path / "boxes.onnx"))
    first, second = teacher(frames(2, 24, 64))
    assert first.dtype == np.float32 and np.array_equal(first, second)
    pixels = first[:, :4] * [64, 24, 64, 24]
    assert np.allclose(pixels, [[0, 2, 32, 18], [8, 4, 16, 8]])
    assert np.allclose(first[:, 4:], [[3, 0.9], [1, 0.8]])
    task = detection.DetectionTask(teachers.class_names("coco91"))
    assert np.array_equal(task.check_label(first), first)
    cars = teachers.class_map("coco91", ["car"])
    (only,) = teachers.OnnxTeacher(tmp_path / "boxes.onnx", classes=cars, min_score=0)(
        frames(1, 12, 16)
    )
    assert np.allclose(only[:, :4] * [16, 12, 16, 12], [[0, 1, 8, 9], [1, 1, 3, 3]])
    assert np.allclose(only[:, 4:], [[0, 0.9], [0, 0.2]])


def test_outputs_of_another_kind_are_decoded_by_the_caller(tmp_path):
    path = onnx_model(
        tmp_path / "mean.onnx",
        [("ReduceMean", ["x"], ["brightness"], {"axes": [1, 2, 3], "keepdims": 0})],
        [("x", "f", ["n", 3, None, None])],
        [("brightness", "f", ["n"])],
    )
    with pytest.raises(ams.InvalidArgumentError, match="'brightness' float32.*pass decode="):
        teachers.OnnxTeacher(path)(frames())

    def decode(outputs, given):
        return [np.full(given.shape[1:3], value > 0) for value in outputs["brightness"]]

    given = frames()
    given[0], given[1] = 255, 0
    assert teachers.OnnxTeacher(path, decode=decode)(given).mean(axis=(1, 2)).tolist() == [1, 0]


def test_what_an_onnx_teacher_refuses(tmp_path):
    with pytest.raises(ams.IoError, match="no file"):
        teachers.OnnxTeacher(tmp_path / "missing.onnx")
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(ams.InvalidArgumentError, match="ONNX Runtime refuses"):
        teachers.OnnxTeacher(tmp_path / "text.onnx")
    path = segmenter(tmp_path / "teacher.onnx")
    for options, message in [
        ({"batch_size": 0}, "batch_size is 0"),
        ({"min_score": 2}, "min_score is 2"),
        ({"mean": [1]}, "three numbers"),
        ({"classes": ["car"]}, "class_map"),
    ]:
        with pytest.raises(ams.InvalidArgumentError, match=message):
            teachers.OnnxTeacher(path, **options)
    teacher = teachers.OnnxTeacher(path, classes=teachers.class_map(["a"], ["a"]))
    for wrong in (np.zeros((2, 4, 4, 3)), np.zeros((4, 4), np.uint8), frames(0)):
        with pytest.raises(ams.InvalidArgumentError, match="frames are"):
            teacher(wrong)
    with pytest.raises(ams.InvalidArgumentError, match="is it the map of another teacher"):
        teacher(frames())
    flat = onnx_model(
        tmp_path / "flat.onnx",
        [("Identity", ["x"], ["y"], {})],
        [("x", "f", [3])],
        [("y", "f", [3])],
    )
    with pytest.raises(ams.InvalidArgumentError, match=r"\[N, 3, H, W\] or"):
        teachers.OnnxTeacher(flat)
