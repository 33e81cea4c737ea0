from __future__ import annotations
import ams._core
import collections.abc
import numpy
import numpy.typing
import os
import torch
import typing
__all__: list[str] = ['LabelledFrame', 'Network', 'NetworkPredictor', 'NetworkTeacher', 'ParameterVector', 'PretrainResult', 'SegmentationTrainer', 'StudentSpec', 'StudentValues', 'TensorAdam', 'compute_threads', 'load_student_values', 'open_network', 'pretrain', 'set_compute_threads', 'student_network_names', 'torch_version', 'training_result', 'training_sample']
class StudentSpec:
    """
    Names a student so that a server and a device build the same one. Immutable.
    
    network: "edanet", "deeplabv3_mobilenetv2", or the path of a TorchScript module (".pt") that maps
        float32 [N, 3, H, W] to logits [N, num_classes, h, w], h <= H and w <= W
    weights: safetensors file with every tensor of the network; empty: values drawn from `seed`, or
        for a TorchScript module those in its file
    num_classes: 2 to 254 outputs of the network; one output of 2 classes is the logit of class 1
    input_width, input_height: pixels, 32 to 4096
    selected_classes: two or more ascending class ids that loss and argmax are over (section 4.1);
        empty: all
    mean, standard_deviation: per channel of RGB in 0 to 1; the defaults are ImageNet's
    train_batch_norm_statistics: they are trained and travel in every update, else they are frozen
    normalization, head: patterns of names (* and ?) of the tensors of these roles, where those that the
        types of the layers tell are not the right ones; only who trains needs them
    Raises InvalidArgumentError that names the field and its range.
    """
    def __init__(self, *, network: os.PathLike[str] | str | bytes = 'edanet', weights: os.PathLike[str] | str | bytes = '', num_classes: typing.SupportsInt | typing.SupportsIndex = 19, input_width: typing.SupportsInt | typing.SupportsIndex = 256, input_height: typing.SupportsInt | typing.SupportsIndex = 128, selected_classes: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex] = [], mean: typing.Annotated[collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex], "FixedSize(3)"] = [0.485, 0.456, 0.406], standard_deviation: typing.Annotated[collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex], "FixedSize(3)"] = [0.229, 0.224, 0.225], train_batch_norm_statistics: bool = False, seed: typing.SupportsInt | typing.SupportsIndex = 1, normalization: collections.abc.Sequence[str] = [], head: collections.abc.Sequence[str] = []) -> None:
        ...
    def __repr__(self) -> str:
        ...
    @property
    def head(self) -> list[str]:
        ...
    @property
    def input_height(self) -> int:
        ...
    @property
    def input_width(self) -> int:
        ...
    @property
    def mean(self) -> typing.Annotated[list[float], "FixedSize(3)"]:
        ...
    @property
    def network(self) -> str:
        ...
    @property
    def normalization(self) -> list[str]:
        ...
    @property
    def num_classes(self) -> int:
        ...
    @property
    def seed(self) -> int:
        ...
    @property
    def selected_classes(self) -> list[int]:
        ...
    @property
    def standard_deviation(self) -> typing.Annotated[list[float], "FixedSize(3)"]:
        ...
    @property
    def train_batch_norm_statistics(self) -> bool:
        ...
    @property
    def weights(self) -> str:
        ...
class StudentValues:
    """
    What server and device start from (version 0).
    """
    @property
    def fingerprint(self) -> int:
        """
        Digest of all that must agree and is not in the parameter vector.
        """
    @property
    def manifest(self) -> ams._core.Manifest:
        ...
    @property
    def values(self) -> numpy.ndarray:
        """
        float32 [dimension], read-only.
        """
class Network:
    """
    A network of libams, or of a file, as a callable on tensors, with gradients.
    
    Parameters and buffers are the network's own tensors. Not thread-safe. What torch itself refuses
    (a shape, a device) is its RuntimeError.
    """
    def __call__(self, input: torch.Tensor) -> torch.Tensor:
        """
        float32 [N, 3, H, W] to logits [N, classes, h, w]; h and w may be smaller than H and W.
        """
    def eval(self) -> Network:
        ...
    def named_buffers(self) -> list[tuple[str, torch.Tensor]]:
        """
        (name, tensor) pairs.
        """
    def named_parameters(self) -> list[tuple[str, torch.Tensor]]:
        """
        (name, tensor) pairs in forward order.
        """
    def to(self, device: typing.Any) -> Network:
        ...
    def train(self, mode: bool = True) -> Network:
        """
        Batch norm: statistics of the batch, or the moving ones.
        """
    @property
    def align_corners(self) -> bool:
        """
        How coarse logits are resized, as in torch's interpolate.
        """
class ParameterVector:
    """
    A module's trainable tensors as one flat float32 vector, on their device.
    
    module_or_named_tensors: anything with named_parameters() (a torch.nn.Module, a Network), or
        (name, tensor) pairs; those that require a gradient are taken, a tensor under two names once
    with_statistics: batch-norm moving statistics follow behind all parameters
    normalization, head: patterns of names as ams.Manifest.with_roles() takes them, in place of the
        roles that the types of the module's layers tell: 'normalization' for scale and shift of batch,
        group, layer, instance and RMS norm, 'head' for the last layer in registration order that has
        parameters of its own to train and is no normalisation; pairs tell none
    The tensors become views of `values`, and their `.grad` of `gradients`: move and convert the module
    before. Not thread-safe. Raises InvalidArgumentError when nothing requires a gradient, or a tensor
    is not dense float32 on the device of the others.
    """
    def __init__(self, module_or_named_tensors: typing.Any, *, with_statistics: bool = False, normalization: collections.abc.Sequence[str] = [], head: collections.abc.Sequence[str] = []) -> None:
        ...
    def copy(self) -> numpy.typing.NDArray[numpy.float32]:
        """
        The values as a new numpy array, float32 [dimension].
        """
    def gather_gradients(self) -> None:
        """
        Puts right what zero_grad(set_to_none=True) and others do to `.grad`: gradients in
        memory of their own become views of `gradients` again, missing ones zeros. Raises
        InvalidArgumentError when the module's values are views no more.
        """
    def load(self, values: typing.Any) -> None:
        """
        Takes over float32 [dimension]: a numpy array, or a tensor on any device.
        """
    def named_tensors(self) -> list[tuple[str, torch.Tensor]]:
        """
        (name, tensor) pairs in the manifest's order.
        """
    def set_required_gradients(self, flags: collections.abc.Sequence[bool]) -> None:
        """
        One flag a tensor of the manifest: backward() computes no gradient for the others
        (`requires_grad` is turned off). All gradients are zero then.
        """
    def zero_gradients(self) -> None:
        ...
    @property
    def gradients(self) -> torch.Tensor:
        """
        float32 tensor [dimension]; zeros where none is computed.
        """
    @property
    def manifest(self) -> ams._core.Manifest:
        """
        The layout: names and shapes in order.
        """
    @property
    def values(self) -> torch.Tensor:
        """
        float32 tensor [dimension].
        """
class TensorAdam:
    """
    Adam (lines 9 to 13 of Algorithm 2) on flat tensors of the CPU or a GPU.
    
    It is told its coordinates: ams.GradientGuidedAdam chooses them, GradientGuidedAdam of this module
    does both. first_moment, second_moment: float32 [dimension], copied. ranges: (begin, end,
    multiplier) as ams.learning_rate_ranges() gives them. Not thread-safe. Raises
    InvalidArgumentError, and UnavailableError for a device that is not there.
    """
    @staticmethod
    def of_job(job: ams._core.TrainingJob, *, device: typing.Any = 'cpu') -> TensorAdam:
        """
        With a training job's moments, options, learning rates and coordinates.
        """
    def __init__(self, first_moment: typing.Any, second_moment: typing.Any, step_count: typing.SupportsInt | typing.SupportsIndex, *, device: typing.Any = 'cpu', learning_rate: typing.SupportsFloat | typing.SupportsIndex = 0.001, beta1: typing.SupportsFloat | typing.SupportsIndex = 0.9, beta2: typing.SupportsFloat | typing.SupportsIndex = 0.999, epsilon: typing.SupportsFloat | typing.SupportsIndex = 1e-08, epsilon_placement: str = 'outside_root', ranges: collections.abc.Sequence[tuple[typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex, typing.SupportsFloat | typing.SupportsIndex]] = []) -> None:
        ...
    def begin_phase(self, coordinates: ams._core.CoordinateSet) -> None:
        """
        What the steps to come move; everything until the first call.
        """
    def set_options(self, *, learning_rate: typing.SupportsFloat | typing.SupportsIndex, beta1: typing.SupportsFloat | typing.SupportsIndex, beta2: typing.SupportsFloat | typing.SupportsIndex, epsilon: typing.SupportsFloat | typing.SupportsIndex, epsilon_placement: str = 'outside_root') -> None:
        """
        Those of the steps to come.
        """
    def state(self) -> dict[str, typing.Any]:
        """
        A copy on the host, as the arguments of TensorAdam: float32 numpy arrays, and a number.
        """
    def step(self, parameters: torch.Tensor, gradients: torch.Tensor) -> None:
        """
        One iteration in place: contiguous float32 tensors [dimension] on the device.
        """
    def update(self) -> torch.Tensor:
        """
        u of the latest step (line 12): float32 [dimension] on the device.
        """
    @property
    def step_count(self) -> int:
        """
        i, over all phases.
        """
class LabelledFrame:
    """
    A frame with its teacher's labels; immutable, so any thread may read it.
    
    frame: uint8 [height, width, 3], RGB. labels: uint8 [h, w], class ids; may differ in size. Both are
    copied.
    """
    def __init__(self, frame: numpy.ndarray, labels: numpy.ndarray, *, capture_seconds: typing.SupportsFloat | typing.SupportsIndex = 0.0) -> None:
        ...
    @property
    def capture_seconds(self) -> float:
        ...
    @property
    def frame(self) -> numpy.ndarray:
        """
        A read-only view.
        """
    @property
    def labels(self) -> numpy.ndarray:
        """
        A read-only view.
        """
    @property
    def nbytes(self) -> int:
        """
        For the byte limits of buffers.
        """
class SegmentationTrainer:
    """
    Trains segmentation students (Algorithm 2); samples are LabelledFrame objects.
    
    Frames are scaled to the student's input size (area average), labels by nearest neighbour; softmax
    cross-entropy over the selected classes, averaged over the pixels that have one and are not
    `ignore_id`. A mini-batch without such a pixel makes no step and counts as loss 0. Batch norm is
    frozen unless spec.train_batch_norm_statistics. Only the gradients that a job requires are computed.
    bfloat16: matrix products and convolutions, on hardware that has it. device: "cpu", "cuda", ...
    cache_bytes: scaled samples are kept up to this size. class_balance: a pixel weighs its class's
    frequency in the mini-batch to the power of minus this, in [0, 1]; 0: all alike, as in the paper.
    Raises as load_student_values(), and UnavailableError for a device that is not there.
    """
    def __init__(self, spec: StudentSpec, *, bfloat16: bool = False, device: typing.Any = 'cpu', ignore_id: typing.SupportsInt | typing.SupportsIndex = 255, cache_bytes: typing.SupportsInt | typing.SupportsIndex = 268435456, class_balance: typing.SupportsFloat | typing.SupportsIndex = 0.25) -> None:
        ...
    def train(self, job: ams._core.TrainingJob) -> ams._core.TrainingResult:
        """
        Runs one training phase, and gives its ams.TrainingResult.
        
        The GIL is released; calls from several threads wait for each other. Ctrl-C ends it between two
        steps; the trainer remains usable. Raises ManifestMismatchError for another network's job and
        InvalidArgumentError for samples, sizes or losses that cannot be.
        """
    @property
    def manifest(self) -> ams._core.Manifest:
        ...
class PretrainResult:
    @property
    def loss(self) -> float:
        """
        Mean over the last tenth of the steps.
        """
    @property
    def seconds(self) -> float:
        """
        Wall time.
        """
    @property
    def steps(self) -> int:
        """
        Made.
        """
class NetworkPredictor:
    """
    One copy of the student for a device: frame in, labels out.
    
    Loaded with load_student_values(spec). Calls from several threads wait for each other, with the
    GIL released. bfloat16: faster on CPUs that have it; a few labels at borders change. Raises as
    load_student_values().
    """
    def __init__(self, spec: StudentSpec, *, bfloat16: bool = False) -> None:
        ...
    def load(self, values: typing.Any) -> None:
        """
        Takes over float32 [dimension], a numpy array.
        """
    def predict(self, frame: numpy.ndarray) -> numpy.ndarray:
        """
        uint8 [H, W, 3] of any size to class ids, uint8 [input_height, input_width].
        """
    @property
    def manifest(self) -> ams._core.Manifest:
        ...
class NetworkTeacher:
    """
    A network that labels frames by its argmax, as ams-server runs it.
    
    network: "fddwnet", "edanet" or "deeplabv3_mobilenetv2" with a weights file, or the path of a
        TorchScript module (".pt") or an AOTInductor package (".pt2")
    num_classes: 2 to 254, checked against what the network gives; one output of 2 classes is the
        logit of class 1
    input_width, input_height: pixels, 32 to 4096; frames are scaled to it
    selected_classes: ascending ids; the argmax is over these alone; empty: all
    device: "cpu", "cuda", ...; a package runs where it was compiled for
    Opening labels one frame. Calls from several threads wait for each other, with the GIL
    released. Raises InvalidArgumentError, IoError, MalformedDataError, ManifestMismatchError,
    UnavailableError.
    """
    def __init__(self, network: os.PathLike[str] | str | bytes, *, weights: os.PathLike[str] | str | bytes = '', num_classes: typing.SupportsInt | typing.SupportsIndex = 19, input_width: typing.SupportsInt | typing.SupportsIndex = 1024, input_height: typing.SupportsInt | typing.SupportsIndex = 512, selected_classes: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex] = [], mean: typing.Annotated[collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex], "FixedSize(3)"] = [0.485, 0.456, 0.406], standard_deviation: typing.Annotated[collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex], "FixedSize(3)"] = [0.229, 0.224, 0.225], device: typing.Any = 'cpu') -> None:
        ...
    def label(self, frame: numpy.ndarray, capture_seconds: typing.SupportsFloat | typing.SupportsIndex = 0.0) -> numpy.ndarray:
        """
        uint8 [H, W, 3] of any size to class ids, uint8 in the size of the network's output.
        """
def compute_threads() -> int:
    ...
def load_student_values(spec: StudentSpec) -> StudentValues:
    """
    The parameter vector that a student starts from, and its fingerprint.
    
    Raises InvalidArgumentError (a network that cannot be trained, with the reason), IoError,
    MalformedDataError, ManifestMismatchError (weights of another network).
    """
def open_network(network: os.PathLike[str] | str | bytes, *, num_classes: typing.SupportsInt | typing.SupportsIndex = 19, weights: os.PathLike[str] | str | bytes = '', seed: typing.SupportsInt | typing.SupportsIndex = 1) -> Network:
    """
    Opens any network that the programs can open.
    
    network: "edanet", "deeplabv3_mobilenetv2", "fddwnet", or the path of a TorchScript module (".pt")
        or an AOTInductor package (".pt2", for inference alone); a file contains a program: open only
        what you trust
    weights: safetensors file of a named network; empty: values drawn from `seed` num_classes: 1 to 254
    outputs of a named network Raises InvalidArgumentError, IoError, MalformedDataError,
    ManifestMismatchError, UnavailableError.
    """
def pretrain(spec: StudentSpec, dataset: typing.Any, output: os.PathLike[str] | str | bytes, *, steps: typing.SupportsInt | typing.SupportsIndex = 1000, batch_size: typing.SupportsInt | typing.SupportsIndex = 8, learning_rate: typing.SupportsFloat | typing.SupportsIndex = 0.001, warmup_steps: typing.SupportsInt | typing.SupportsIndex = 50, weight_decay: typing.SupportsFloat | typing.SupportsIndex = 0.0001, schedule: str = 'cosine', horizontal_flip: bool = True, color_jitter: typing.SupportsFloat | typing.SupportsIndex = 0.2, ignore_id: typing.SupportsInt | typing.SupportsIndex = 255, bfloat16: bool = False, seed: typing.SupportsInt | typing.SupportsIndex = 1, stored_as: str = 'f16', on_step: collections.abc.Callable[..., typing.Any] | None = None) -> PretrainResult:
    ...
def set_compute_threads(threads: typing.SupportsInt | typing.SupportsIndex) -> None:
    """
    Threads that one network operation may use, 1 or more, as torch.set_num_threads().
    """
def student_network_names() -> list[str]:
    """
    The names that StudentSpec.network takes besides a path.
    """
def torch_version() -> str:
    """
    Version of torch that this module was built with.
    """
def training_result(vector: ParameterVector, adam: TensorAdam, losses: collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex], seconds: typing.SupportsFloat | typing.SupportsIndex, scores: ams._core.StartScores | None = None) -> ams._core.TrainingResult:
    """
    The ams.TrainingResult of a phase that these two have made.
    """
def training_sample(spec: StudentSpec, frame: numpy.ndarray, labels: numpy.ndarray, *, capture_seconds: typing.SupportsFloat | typing.SupportsIndex = 0.0) -> LabelledFrame:
    """
    The LabelledFrame that a session should keep for a SegmentationTrainer of `spec`.
    
    frame: uint8 [height, width, 3], RGB. labels: uint8 [h, w]. Both are scaled to the student's input
    size: training gives the very same result from less memory.
    """
