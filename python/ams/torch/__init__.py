"""Adaptive Model Streaming on torch: any `torch.nn.Module`, and the networks of libams.

Needs the torch that libams was built with, as far as the first two numbers of its version go; the
import says what to do about another one.

- on your own module: GradientGuidedAdam (like `torch.optim`), ParameterVector (the module as one
  flat vector), ModuleTrainer (training phases of a session), ServerStudent and DeviceStudent (both
  ends in a few lines)
- networks of the library: StudentSpec, load_student_values, SegmentationTrainer, NetworkPredictor,
  NetworkTeacher, open_network, pretrain
"""

try:
    import torch as _pytorch
except ImportError as _error:
    raise ImportError(
        "ams.torch needs torch >= 2.7 (pip install torch), and then libams built with it "
        "(pip install --no-build-isolation --force-reinstall --no-deps <folder of libams>)"
    ) from _error

import ams as _ams

from . import version_check as _version_check

_built_with = _ams.build_info()["layers"]["torch"]
_version_check.require_matching_torch(built_with=_built_with, running=_pytorch.__version__)
try:
    from ams import _torch as _native  # noqa: F401
except ImportError as _error:
    raise _version_check.load_failure(
        _error, built_with=_built_with, running=_pytorch.__version__
    ) from _error

from ams._functions import present_functions as _present_functions  # noqa: E402
from ams._torch import (  # noqa: E402
    LabelledFrame,
    Network,
    NetworkPredictor,
    NetworkTeacher,
    ParameterVector,
    PretrainResult,
    SegmentationTrainer,
    StudentSpec,
    StudentValues,
    TensorAdam,
    compute_threads,
    load_student_values,
    open_network,
    set_compute_threads,
    student_network_names,
    torch_version,
    training_sample,
)

from .gradient_guided_adam import GradientGuidedAdam  # noqa: E402
from .module_trainer import ModuleTrainer  # noqa: E402
from .pretrain import pretrain  # noqa: E402
from .student import DeviceStudent, ServerStudent  # noqa: E402

__all__ = [
    "DeviceStudent",
    "GradientGuidedAdam",
    "LabelledFrame",
    "ModuleTrainer",
    "Network",
    "NetworkPredictor",
    "NetworkTeacher",
    "ParameterVector",
    "PretrainResult",
    "SegmentationTrainer",
    "ServerStudent",
    "StudentSpec",
    "StudentValues",
    "TensorAdam",
    "compute_threads",
    "load_student_values",
    "open_network",
    "pretrain",
    "set_compute_threads",
    "student_network_names",
    "torch_version",
    "training_sample",
]

_present_functions(globals(), __name__)
