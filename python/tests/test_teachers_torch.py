"""Networks of torchvision and transformers as teachers, with random values: nothing is loaded from
elsewhere."""

import warnings

import numpy as np
import pytest
from torchvision_support import models, torch

import ams
from ams import teachers

F = torch.nn.functional


def frames(count=2, height=64, width=96, seed=1):
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (count, height // 8, width // 8, 3), dtype=np.uint8)
    return coarse.repeat(8, axis=1).repeat(8, axis=2)


def plain(names):
    return ["".join(c for c in name.lower() if c.isalnum()) for name in names]


def normalised(given):
    pixels = torch.from_numpy(given).permute(0, 3, 1, 2) / 255
    mean, deviation = ([[[v]] for v in each] for each in ((0.485, 0.456, 0.406), DEVIATION))
    return (pixels - torch.tensor(mean)) / torch.tensor(deviation)


DEVIATION = (0.229, 0.224, 0.225)


@torch.no_grad()
def lively(network, run=None):
    """With values that make outputs differ from place to place."""
    torch.manual_seed(2)
    for part in network.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.momentum = None
    for parameter in network.parameters():
        if parameter.dim() > 1:
            parameter.normal_(0, (2 / parameter[0].numel()) ** 0.5)
    network.train()
    (run or network)(normalised(frames()))  # the statistics of batch norm
    return network.eval()


# ---- torchvision


@pytest.fixture(scope="module")
def segmenter():
    torch.manual_seed(1)
    network = models.segmentation.lraspp_mobilenet_v3_large(
        weights=None, weights_backbone=None, num_classes=21
    )
    return lively(network)


@pytest.fixture(scope="module")
def detector():
    torch.manual_seed(1)
    network = models.detection.ssdlite320_mobilenet_v3_large(
        weights=None,
        weights_backbone=None,
        num_classes=91,
        detections_per_img=40,
        topk_candidates=4,
    )
    return lively(network, lambda x: network.head(list(network.backbone(x).values())))


def test_names_are_torchvision_s():
    weights = models.detection.FCOS_ResNet50_FPN_Weights.DEFAULT
    assert plain(weights.meta["categories"]) == plain(teachers.class_names("coco91"))
    weights = models.segmentation.LRASPP_MobileNet_V3_Large_Weights.DEFAULT
    assert plain(weights.meta["categories"]) == plain(teachers.class_names("voc"))


def test_a_torchvision_segmenter(segmenter):
    given = frames(3)
    labels = teachers.TorchvisionTeacher(segmenter, batch_size=2)(given)
    with torch.no_grad():
        logits = segmenter(normalised(given))["out"]
    assert labels.dtype == np.uint8 and labels.shape == (3, 64, 96)
    assert len(np.unique(labels)) > 2
    assert (labels == logits.argmax(1).numpy()).mean() > 0.999
    given.flags.writeable = False  # as ams.serve gives them
    mapped = teachers.class_map("voc", [*teachers.class_names("voc")[::-1]])
    own = teachers.TorchvisionTeacher(segmenter, classes=mapped)
    assert np.array_equal(own(given), 20 - labels)
    small = teachers.TorchvisionTeacher(segmenter, input_size=(32, 48))(given)
    assert small.shape == (3, 64, 96) and not np.array_equal(small, labels)


def test_many_classes_are_resized_by_few(segmenter, monkeypatch):
    from ams.teachers import torch_networks

    teacher = teachers.TorchvisionTeacher(segmenter)
    labels = teacher(frames())
    monkeypatch.setattr(torch_networks, "_MAX_LOGITS", 64 * 96 * 4)
    assert np.array_equal(teacher(frames()), labels)


def test_a_torchvision_detector(detector):
    given = frames()
    labels = teachers.TorchvisionTeacher(detector, min_score=0)(given)
    with torch.no_grad():
        found = detector([torch.from_numpy(f).permute(2, 0, 1) / 255 for f in given])
    for boxes, own in zip(labels, found, strict=True):
        assert boxes.dtype == np.float32 and 0 < len(boxes) <= len(own["boxes"])
        assert (boxes[:, :4] >= 0).all() and (boxes[:, :4] <= 1).all()
        pixels = own["boxes"].numpy()
        has_area = (pixels[:, 0] < pixels[:, 2]) & (pixels[:, 1] < pixels[:, 3])
        assert np.allclose(boxes[:, :4] * [96, 64, 96, 64], pixels[has_area], atol=1e-3)
        assert np.array_equal(boxes[:, 4], own["labels"].numpy()[has_area])
        assert np.allclose(boxes[:, 5], own["scores"].numpy()[has_area])
    middle = float(np.median(labels[0][:, 5]))
    best = teachers.TorchvisionTeacher(detector, min_score=middle)(given[:1])[0]
    assert 0 < len(best) < len(labels[0]) and (best[:, 5] >= middle).all()
    name = teachers.class_names("coco91")[int(labels[0][0, 4])]
    own = teachers.TorchvisionTeacher(
        detector,
        classes=teachers.class_map("coco91", ["hat", name], allow_missing=True),
        min_score=0,
    )
    assert own.classes == ("hat", name)
    chosen = labels[0][labels[0][:, 4] == labels[0][0, 4]]
    assert np.allclose(own(given[0])[:, :4], chosen[:, :4], atol=1e-4)
    assert set(own(given[0])[:, 4]) == {1}


def test_a_torchvision_teacher_by_name(segmenter, monkeypatch):
    """Weights are not loaded here; what they say of pictures and classes is taken."""
    asked = []

    def get_model(name, weights):
        asked.append((name, weights))
        return segmenter

    monkeypatch.setattr(models, "get_model", get_model)
    teacher = teachers.TorchvisionTeacher("lraspp_mobilenet_v3_large", classes=["person", "car"])
    weights = models.segmentation.LRASPP_MobileNet_V3_Large_Weights.DEFAULT
    assert asked == [("lraspp_mobilenet_v3_large", weights)]
    labels = teacher(frames())
    assert labels.shape == (2, 64, 96) and set(np.unique(labels)) <= {0, 1, 255}
    with torch.no_grad():
        inputs = weights.transforms()(torch.from_numpy(frames()).permute(0, 3, 1, 2))
        logits = F.interpolate(segmenter(inputs)["out"], (64, 96), mode="bilinear")
    table = np.full(21, 255)
    table[[15, 7]] = 0, 1
    assert (labels == table[logits.argmax(1).numpy()]).mean() > 0.999
    with pytest.raises(ams.InvalidArgumentError, match="no teacher 'resnet1'.*lraspp_mobilenet"):
        teachers.TorchvisionTeacher("resnet1")


def test_what_torchvision_teachers_refuse(segmenter):
    with pytest.raises(ams.InvalidArgumentError, match="type str|type dict"):
        teachers.TorchvisionTeacher({})
    with pytest.raises(ams.InvalidArgumentError, match="class_map"):
        teachers.TorchvisionTeacher(segmenter, classes=["car"])
    flat = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.LazyLinear(4))
    with pytest.raises(ams.InvalidArgumentError, match="no segmentation.*detects=True"):
        teachers.TorchvisionTeacher(flat)(frames())


# ---- transformers


@pytest.fixture(scope="module")
def transformers():
    return pytest.importorskip("transformers", reason="transformers is not installed")


NAMES = {0: "road", 1: "person", 2: "car", 3: "sky", 4: "tree"}


@pytest.fixture(scope="module")
def segformer(transformers):
    torch.manual_seed(1)
    config = transformers.SegformerConfig(
        hidden_sizes=[8, 8, 16, 16],
        depths=[1, 1, 1, 1],
        num_attention_heads=[1, 1, 2, 2],
        decoder_hidden_size=16,
        id2label=NAMES,
        label2id={v: k for k, v in NAMES.items()},
    )
    return lively(transformers.SegformerForSemanticSegmentation(config))


def test_a_segformer(segformer):
    given = frames(3)
    teacher = teachers.TransformersTeacher(segformer, batch_size=2)
    labels = teacher(given)
    assert teacher.classes == tuple(NAMES.values())
    with torch.no_grad():
        logits = segformer(pixel_values=normalised(given)).logits
    expected = F.interpolate(logits, (64, 96), mode="bilinear").argmax(1).numpy()
    assert len(np.unique(expected)) > 2
    assert labels.dtype == np.uint8 and (labels == expected).mean() > 0.999
    own = teachers.TransformersTeacher(segformer, classes=["car", "street", "pedestrian"][::2])
    table = np.array([255, 1, 0, 255, 255], np.uint8)
    assert np.array_equal(own(given), table[labels])
    with pytest.raises(ams.InvalidArgumentError, match="called 'streat'"):
        teachers.TransformersTeacher(segformer, classes=["streat"])


def test_a_pretrained_folder_with_its_processor(transformers, segformer, tmp_path):
    processor = transformers.SegformerImageProcessor(size={"height": 32, "width": 64})
    segformer.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    given = frames()
    given.flags.writeable = False  # as ams.serve gives them
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        labels = teachers.TransformersTeacher(tmp_path)(given)
    with torch.no_grad():
        inputs = processor(images=list(frames()), return_tensors="pt")
        assert inputs["pixel_values"].shape == (2, 3, 32, 64)
        outputs = segformer(**inputs)
    expected = processor.post_process_semantic_segmentation(outputs, [(64, 96)] * 2)
    assert (labels == torch.stack(expected).numpy()).mean() > 0.999
    with pytest.raises(ams.InvalidArgumentError, match="cannot load"):
        (tmp_path / "config.json").write_text("{}")
        teachers.TransformersTeacher(tmp_path)


def test_a_mask2former(transformers, monkeypatch):
    # Its loss needs scipy.
    module = transformers.models.mask2former.modeling_mask2former
    monkeypatch.setattr(module, "requires_backends", lambda *_: None)
    torch.manual_seed(1)
    config = transformers.Mask2FormerConfig(
        backbone_config=transformers.SwinConfig(
            embed_dim=8,
            depths=[1, 1, 1, 1],
            num_heads=[1, 1, 2, 2],
            window_size=4,
            out_features=["stage1", "stage2", "stage3", "stage4"],
        ),
        feature_size=32,
        mask_feature_size=32,
        hidden_dim=32,
        encoder_feedforward_dim=16,
        dim_feedforward=16,
        encoder_layers=1,
        decoder_layers=2,
        num_attention_heads=2,
        num_queries=6,
        id2label=NAMES,
        label2id={v: k for k, v in NAMES.items()},
    )
    model = lively(transformers.Mask2FormerForUniversalSegmentation(config))
    with torch.no_grad():
        model.class_predictor.weight *= 20
        logits = model(pixel_values=normalised(frames())).class_queries_logits
        model.class_predictor.bias -= logits.mean((0, 1))  # so that queries differ
    processor = transformers.Mask2FormerImageProcessor(size={"height": 64, "width": 96})
    given = frames()
    labels = teachers.TransformersTeacher(model, processor)(given)
    with torch.no_grad():
        outputs = model(**processor(images=list(given), return_tensors="pt"))
    expected = processor.post_process_semantic_segmentation(outputs, [(64, 96)] * 2)
    assert (labels == torch.stack(expected).numpy()).mean() > 0.9
    assert len(np.unique(labels)) > 1
    without = teachers.TransformersTeacher(model, input_size=(64, 96))(given)
    assert (without == labels).mean() > 0.9


def test_a_detr(transformers):
    torch.manual_seed(1)
    config = transformers.DetrConfig(
        use_timm_backbone=False,
        use_pretrained_backbone=False,
        backbone=None,
        backbone_config=transformers.ResNetConfig(
            embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], out_features=["stage2"]
        ),
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        num_queries=12,
        id2label=NAMES,
        label2id={v: k for k, v in NAMES.items()},
    )
    model = lively(transformers.DetrForObjectDetection(config))
    processor = transformers.DetrImageProcessor(size={"height": 64, "width": 96})
    given = frames()
    labels = teachers.TransformersTeacher(model, processor, min_score=0)(given)
    with torch.no_grad():
        outputs = model(**processor(images=list(given), return_tensors="pt"))
    expected = processor.post_process_object_detection(
        outputs, threshold=0, target_sizes=[(64, 96)] * 2
    )
    for boxes, found in zip(labels, expected, strict=True):
        edges = (found["boxes"] / torch.tensor([96, 64, 96, 64])).clamp(0, 1).numpy()
        assert len(boxes) == 12
        assert np.allclose(boxes[:, :4], edges, atol=1e-4)
        assert np.array_equal(boxes[:, 4], found["labels"].numpy())
        assert np.allclose(boxes[:, 5], found["scores"].numpy(), atol=1e-5)
    only = teachers.TransformersTeacher(model, processor, classes=["sky"], min_score=0)(given)
    assert [len(b) for b in only] == [(b[:, 4] == 3).sum() for b in labels]


def test_what_transformers_teachers_refuse(transformers, segmenter):
    config = transformers.ViTConfig(
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
        image_size=64,
        patch_size=32,
    )
    model = transformers.ViTForImageClassification(config)
    with pytest.raises(ams.InvalidArgumentError, match="gives logits; allowed are networks for"):
        teachers.TransformersTeacher(model, input_size=(64, 64))(frames())
    with pytest.raises(ams.InvalidArgumentError, match="LRASPP has no config"):
        teachers.TransformersTeacher(segmenter)
