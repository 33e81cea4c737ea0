"""Teachers: what labels the frames that a student learns from.

    from ams import teachers

    teacher = teachers.TransformersTeacher(
        "nvidia/segformer-b0-finetuned-cityscapes-1024-1024", classes=["road", "person", "car"])
    labels = teacher(frames)       # uint8 [N, H, W, 3] to uint8 [N, H, W], 255: not labelled

A teacher is any callable like these. Here are adapters for networks of torchvision and
transformers, for ONNX files and for inference servers; class_map() makes a teacher's classes the
student's. A detector's label is a set of boxes, float32 [n, 6] as ams.detection has them: left,
top, right, bottom as shares of the picture, class, score. A library is imported when a teacher
needs it; pip install 'libams[teachers]' has all.
"""

from .class_map import ClassMap, class_map
from .class_names import class_names
from .kserve_teacher import KServeTeacher
from .onnx_teacher import OnnxTeacher
from .process_teacher import ProcessTeacher
from .torchvision_teacher import TorchvisionTeacher
from .transformers_teacher import TransformersTeacher

__all__ = [
    "ClassMap",
    "KServeTeacher",
    "OnnxTeacher",
    "ProcessTeacher",
    "TorchvisionTeacher",
    "TransformersTeacher",
    "class_map",
    "class_names",
]
