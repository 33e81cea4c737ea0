"""
Bindings of ams::core, segmentation, detection, session, policy, runtime and synthetic; use the package ams.
"""
from __future__ import annotations
import collections.abc
import numpy
import numpy.typing
import os
import typing
__all__: list[str] = ['Ack', 'AdamState', 'AveragePrecision', 'BudgetPolicy', 'Bye', 'ClientCounters', 'ClientOptions', 'ClientView', 'ConfusionMatrix', 'ConnectToServer', 'Control', 'CoordinateSet', 'DeviceHost', 'DisconnectDevice', 'DisconnectServer', 'DownlinkBudget', 'EdgeClient', 'EncodeBuffer', 'EncodeOptions', 'EncodePlan', 'Fault', 'FixedPolicy', 'FrameBatch', 'GradientGuidedAdam', 'HardBoxLoss', 'HardLabelCrossEntropy', 'Hello', 'HorizonReplayBuffer', 'LabelBatch', 'Manifest', 'MiouSummary', 'ModelHolder', 'ModelJournal', 'ModelReadGuard', 'ModelState', 'ModelVersion', 'PaperPolicy', 'Persist', 'PhaseContext', 'PhasePlan', 'PhiScoreTracker', 'PrecisionSummary', 'Publish', 'Random', 'Refusal', 'SamplingRateController', 'SegmentationTask', 'SendToDevice', 'SendToServer', 'ServerHost', 'ServerSession', 'SessionCounters', 'SessionOptions', 'SessionRecord', 'SessionView', 'SlidingMiou', 'SlidingPrecision', 'Snapshot', 'SnapshotPart', 'StartScores', 'Strategy', 'Street', 'Task', 'TaskScore', 'TensorSpec', 'TrainingDue', 'TrainingJob', 'TrainingRateController', 'TrainingReport', 'TrainingResult', 'TurnScheduler', 'Update', 'UpdateInfo', 'UpdatePolicy', 'Welcome', 'Work', 'WorkCost', 'WriteReport', 'apply_update', 'box_disagreement', 'build_info', 'check_boxes', 'decode_centre_maps', 'decode_snapshot', 'draw_boxes', 'encode_snapshot', 'encode_update', 'first_and_last_layers', 'first_layers', 'fraction_count', 'full', 'gradient_guided', 'inspect_update', 'label_disagreement', 'largest_by_magnitude', 'last_layers', 'learning_rate_ranges', 'learning_rate_scales', 'make_selection_strategy', 'normalization', 'normalization_and_head', 'pack_boxes', 'protocol_version', 'random_coordinates', 'random_fraction', 'recommended_multipliers', 'resize_frame', 'selection_strategy_names', 'street_class_names', 'street_eval_classes', 'street_label_ids', 'street_object_names', 'unite', 'unpack_boxes', 'update_profile_names']
class TensorSpec:
    """
    One tensor's place in the flat float32 parameter vector.
    """
    def __repr__(self) -> str:
        ...
    @property
    def kind(self) -> str:
        """
        'parameter' (trained) or 'statistic' (follows the data).
        """
    @property
    def name(self) -> str:
        """
        As the network's framework names it.
        """
    @property
    def offset(self) -> int:
        """
        First coordinate, in values.
        """
    @property
    def role(self) -> str:
        """
        For strategies and learning rates by group: 'normalization' (scale or shift of a normalisation layer), 'head' (the classifier) or 'weight' (whatever else).
        """
    @property
    def shape(self) -> tuple[typing.Any, ...]:
        """
        The extents; empty for a scalar.
        """
    @property
    def size(self) -> int:
        """
        Number of values.
        """
class Manifest:
    """
    The layout of a network's flat parameter vector: which tensor stands where.
    
    Server and device must have the same manifest; its digest travels with every update. Immutable; safe
    to read from any thread.
    
        Manifest([("conv.weight", (8, 3, 3, 3)), ("bn.running_mean", (8,), "statistic")])
        Manifest([("bn.weight", (8,), "parameter", "normalization")])
    """
    def __eq__(self, arg0: object) -> bool:
        ...
    def __getstate__(self) -> tuple[list[typing.Any]]:
        ...
    def __hash__(self) -> int:
        ...
    def __init__(self, tensors: collections.abc.Iterable[typing.Any]) -> None:
        """
        tensors: (name, shape) each, in the order of the vector, or with more behind it, (name, shape, kind,
        role); kind is 'parameter' or 'statistic', role is 'weight', 'normalization' or 'head'. Raises
        InvalidArgumentError on an empty or repeated name, an extent below 1, more than 8 extents or a
        vector of 2^32 values and more.
        """
    def __repr__(self) -> str:
        ...
    def __setstate__(self, arg0: tuple[typing.Any, ...]) -> None:
        ...
    def difference(self, other: Manifest, own_name: str = 'this', other_name: str = 'the other') -> str:
        """
        What differs, by name, for people: tensors that only one has, other shapes, kinds or places. Empty
        when the digests are equal. own_name, other_name: whose the two are, in that text.
        """
    def tensor_of(self, coordinate: typing.SupportsInt | typing.SupportsIndex) -> int:
        """
        Index into tensors of the one that holds this coordinate.
        """
    def with_roles(self, *, normalization: collections.abc.Sequence[str] = [], head: collections.abc.Sequence[str] = []) -> Manifest:
        """
        The same layout and digest with other roles. Parameters whose names match a role's patterns get that
        role; others that had it become 'weight'. The head wins where both match. In a pattern * stands for
        any characters, ? for one. Raises InvalidArgumentError for a pattern that matches no parameter.
        """
    @property
    def digest(self) -> int:
        """
        64-bit digest over names, shapes and kinds, the same on every machine.
        """
    @property
    def dimension(self) -> int:
        """
        Number of values.
        """
    @property
    def has_statistics(self) -> bool:
        """
        Is any tensor a statistic?
        """
    @property
    def tensors(self) -> list[TensorSpec]:
        """
        The tensors, with their offset and size.
        """
class CoordinateSet:
    """
    A set of coordinates of a parameter vector: the I_n of Algorithm 2. Immutable; safe to read from any
    thread. len() is the number of coordinates, | the union of two sets of one dimension.
    """
    __hash__: typing.ClassVar[None] = None  # type: ignore[assignment]
    @staticmethod
    def all(dimension: typing.SupportsInt | typing.SupportsIndex) -> CoordinateSet:
        """
        Every coordinate of a vector of `dimension` values, at most 2^32 - 1.
        """
    @staticmethod
    def from_sorted(dimension: typing.SupportsInt | typing.SupportsIndex, indices: CoordinateSet | numpy.typing.ArrayLike) -> CoordinateSet:
        """
        indices: strictly ascending integers [n] below `dimension`, or a boolean mask [dimension]. Raises
        InvalidArgumentError on anything else.
        """
    def __eq__(self, arg0: object) -> bool:
        ...
    def __getstate__(self) -> tuple[int, bool, numpy.typing.NDArray[numpy.uint32]]:
        ...
    def __len__(self) -> int:
        ...
    def __or__(self, other: CoordinateSet) -> CoordinateSet:
        ...
    def __repr__(self) -> str:
        ...
    def __setstate__(self, arg0: tuple[typing.Any, ...]) -> None:
        ...
    @property
    def dimension(self) -> int:
        """
        Length of the vector.
        """
    @property
    def indices(self) -> numpy.typing.NDArray[numpy.uint32]:
        """
        The ascending indices, a new uint32 array [len].
        """
    @property
    def is_all(self) -> bool:
        """
        Is every coordinate in the set?
        """
class ModelVersion:
    """
    Names what a device holds: the number of updates since version 0, and the digest of the values and
    of what profile 'compact' has learned.
    """
    def __eq__(self, arg0: object) -> bool:
        ...
    def __getstate__(self) -> tuple[int, int]:
        ...
    def __hash__(self) -> int:
        ...
    def __init__(self, number: typing.SupportsInt | typing.SupportsIndex = 0, digest: typing.SupportsInt | typing.SupportsIndex = 0) -> None:
        ...
    def __repr__(self) -> str:
        ...
    def __setstate__(self, arg0: tuple[typing.Any, ...]) -> None:
        ...
    @property
    def digest(self) -> int:
        """
        64-bit digest of what is held.
        """
    @property
    def number(self) -> int:
        """
        Updates since version 0.
        """
class ModelState:
    """
    The parameter vector at one version: what a device holds, and what its server knows it holds; with
    it, what profile 'compact' has learned from the updates so far.
    
    Only encode_update() and apply_update() move it to another version, so its digest always belongs to
    its content. Reading is thread-safe; updating is not: give a state to one thread.
    """
    def __copy__(self) -> ModelState:
        ...
    def __deepcopy__(self, memo: dict[str, typing.Any]) -> ModelState:
        ...
    def __getstate__(self) -> tuple[Manifest, bytes]:
        ...
    def __init__(self, manifest: Manifest, values: numpy.typing.ArrayLike, *, version_number: typing.SupportsInt | typing.SupportsIndex = 0) -> None:
        """
        values: float32 [manifest.dimension], finite; copied. Raises InvalidArgumentError.
        """
    def __repr__(self) -> str:
        ...
    def __setstate__(self, arg0: tuple[typing.Any, ...]) -> None:
        ...
    def copy(self) -> ModelState:
        """
        An independent state of the same version.
        """
    @property
    def manifest(self) -> Manifest:
        """
        The layout of the values.
        """
    @property
    def values(self) -> numpy.ndarray:
        """
        The values, float32 [dimension]: a read-only view that follows updates. Copy it to keep it.
        """
    @property
    def version(self) -> ModelVersion:
        """
        Number and digest of what is held.
        """
class UpdateInfo:
    """
    The header of an update. Profile 'compact' has no digests and no number of values in it:
    inspect_update() leaves them 0.
    """
    def __repr__(self) -> str:
        ...
    @property
    def base(self) -> ModelVersion:
        """
        The version that it follows.
        """
    @property
    def coordinates(self) -> int:
        """
        Number of values sent.
        """
    @property
    def manifest_digest(self) -> int:
        """
        Of the model that it is for.
        """
    @property
    def next(self) -> ModelVersion:
        """
        The version that it leads to.
        """
    @property
    def profile(self) -> str:
        """
        'reference' or 'compact'.
        """
class EncodeOptions:
    """
    How an update is written.
    """
    def __init__(self, *, profile: str = 'reference', zstd_level: int = 1, relative_step: float = 1.0, weight_step_multiplier: float = 1.0, dead_zone: float = 0.5, step_exponent: int | None = None) -> None:
        """
            profile: 'reference' (section 3.1.2: float16 values and their places) or 'compact' (differences in steps of a power of two, under a range coder that remembers)
            zstd_level: of 'reference', 1 (fast) to 19
            relative_step: of 'compact': a step is the power of two nearest to this times the root mean square of the differences, over the parameters of one role; 2^-20 to 2^20
            weight_step_multiplier: of 'compact': times as large for weights, neither normalisation nor head; likewise
            dead_zone: of 'compact': a parameter that would move by fewer steps stays where it is; 0.5 to 4
            step_exponent: of 'compact': 2^this is every step, in place of all that; -100 to 104
        Raises InvalidArgumentError that names the argument.
        """
    def __repr__(self) -> str:
        ...
    def to_dict(self) -> dict[str, typing.Any]:
        """
        All arguments by name.
        """
    @property
    def dead_zone(self) -> float:
        """
        of 'compact': a parameter that would move by fewer steps stays where it is; 0.5 to 4
        """
    @property
    def profile(self) -> str:
        """
        'reference' (section 3.1.2: float16 values and their places) or 'compact' (differences in steps of a power of two, under a range coder that remembers)
        """
    @property
    def relative_step(self) -> float:
        """
        of 'compact': a step is the power of two nearest to this times the root mean square of the differences, over the parameters of one role; 2^-20 to 2^20
        """
    @property
    def step_exponent(self) -> int | None:
        """
        of 'compact': 2^this is every step, in place of all that; -100 to 104
        """
    @property
    def weight_step_multiplier(self) -> float:
        """
        of 'compact': times as large for weights, neither normalisation nor head; likewise
        """
    @property
    def zstd_level(self) -> int:
        """
        of 'reference', 1 (fast) to 19
        """
class Strategy:
    """
    Which coordinates a training phase trains and sends (section 3.1.2, table 3): a value that serves
    any number of sessions. unite() combines two.
    """
    def __repr__(self) -> str:
        ...
    def required_gradients(self, manifest: Manifest) -> list[bool]:
        """
        For each tensor of the manifest: must its gradient be computed? Raises InvalidArgumentError when the
        manifest lacks what the strategy trains.
        """
    @property
    def name(self) -> str:
        """
        For reports, e.g. 'normalization+last_layers'.
        """
class AdamState:
    """
    Adam's memory of one parameter vector; it persists over training phases (Algorithm 2, lines 4, 5 and
    11).
    """
    def __init__(self, dimension: typing.SupportsInt | typing.SupportsIndex) -> None:
        ...
    def copy(self) -> AdamState:
        """
        An independent copy.
        """
    @property
    def first_moment(self) -> numpy.ndarray:
        """
        m, a float32 view [dimension] that can be written to.
        """
    @property
    def second_moment(self) -> numpy.ndarray:
        """
        v, a float32 view [dimension] that can be written to.
        """
    @property
    def step_count(self) -> int:
        """
        i, over all phases.
        """
    @step_count.setter
    def step_count(self, arg0: typing.SupportsInt | typing.SupportsIndex) -> None:
        ...
class GradientGuidedAdam:
    """
    Algorithm 2 (section 3.1.2): an optimiser that moves a fraction of the parameters in each training
    phase: those that moved most in the phase before.
    
        adam = GradientGuidedAdam(weights.size, gamma=0.05)
        while True:                               # one round is one training phase
            chosen = adam.begin_phase()
            for _ in range(20):
                adam.step(weights, gradients_of(weights))
            send(weights, chosen)                 # all other weights are as they were
    
    It keeps no parameters. Equal seeds and gradients give equal results on every machine. Not
    thread-safe.
    """
    def __init__(self, manifest_or_dimension: Manifest | int, *, gamma: float = 0.05, strategy: str | Strategy = 'gradient_guided', learning_rate: float = 0.001, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-08, epsilon_placement: str = 'outside_root', weight_multiplier: float = 1.0, normalization_multiplier: float = 1.0, head_multiplier: float = 1.0, seed: int = 0) -> None:
        """
        manifest_or_dimension: a network's Manifest (statistics are never chosen), or the number of values of one tensor.
            gamma: fraction of the trainable coordinates that a phase trains and sends, in (0, 1]
            strategy: how they are chosen, a Strategy or one of selection_strategy_names()
            learning_rate: alpha, > 0 and at most 1e6
            beta1: in [0, 1)
            beta2: in [0, 1)
            epsilon: 1e-30 to 1e6
            epsilon_placement: 'outside_root' (as torch.optim.Adam) or 'inside_root' (as Algorithm 2 is printed)
            weight_multiplier: of learning_rate, for tensors of role 'weight'; (0, 1e6]
            normalization_multiplier: likewise, of role 'normalization'
            head_multiplier: likewise, of role 'head'
            seed: of the random choices
        Raises InvalidArgumentError that names the argument.
        """
    def begin_phase(self) -> CoordinateSet:
        """
        Chooses I_n (lines 1 to 5): at random in the first phase, then by |u| of the latest step. The first phase ends with the first step: begun again before that, it chooses the same.
        """
    def required_gradients(self) -> list[bool]:
        """
        For each tensor of the manifest: must step() be given its gradient?
        """
    def restore(self, state: dict[str, typing.Any]) -> None:
        """
        Continues from a state() of an object with the same manifest, exactly as that one would have. Raises
        InvalidArgumentError, with nothing changed.
        """
    def state(self) -> dict[str, typing.Any]:
        """
        What persists over phases, copied: for restore(), or a file.
        """
    def step(self, parameters: numpy.typing.ArrayLike, gradients: numpy.typing.ArrayLike) -> None:
        """
        One iteration (lines 9 to 13) in place: the moments of all coordinates follow the gradient, those of
        the phase move.
        
        Both float32 [dimension], contiguous, in memory of their own; tensors whose gradient is not required
        have zeros. Raises InvalidArgumentError, with nothing changed, before the first begin_phase(), on
        another size or dtype, and on a |gradient| over 1e18 or not a number. Runs without the GIL.
        """
    @property
    def coordinates(self) -> CoordinateSet:
        """
        I_n; empty before the first begin_phase().
        """
class PhiScoreTracker:
    """
    phi-score (section 3.2): how fast the teacher's output changes. Labels are any objects; the task's
    own loss compares each with the one before. Not thread-safe.
    """
    def __init__(self, loss: collections.abc.Callable[[typing.Any, typing.Any], float | None]) -> None:
        """
        loss: loss(prediction, truth) -> float, or None where two labels cannot be compared.
        """
    def add(self, label: typing.Any) -> float | None:
        """
        Takes the teacher's output on the next frame, in the order of capture. Gives phi, or None for the
        first frame and where the loss gives None. Raises what the loss raises; the tracker is then as
        before.
        """
    def forget_label(self) -> None:
        """
        After a gap in the video: the next frame is compared with none.
        """
    def mean(self) -> float | None:
        """
        Mean of the scores since the latest take_mean(); None when there are none.
        """
    def reset(self) -> None:
        """
        Forgets everything.
        """
    def take_mean(self) -> float | None:
        """
        mean(), and begins a new period.
        """
    @property
    def count(self) -> int:
        """
        Number of scores since the latest take_mean().
        """
class SamplingRateController:
    """
    Adaptive sampling rate of the device (section 3.2, equation 1):
    rate = clip(rate + step_fps * (mean phi - phi_target), min_fps, max_fps), every interval_seconds.
    It has no clock: the caller passes the time. Not thread-safe.
    """
    def __init__(self, *, min_fps: float = 0.1, max_fps: float = 1.0, initial_fps: float = 1.0, step_fps: float = 0.5, phi_target: float = 0.39, interval_seconds: float = 10.0, start_seconds: float = 0.0) -> None:
        """
            min_fps: r_min, > 0
            max_fps: r_max, >= min_fps
            initial_fps: r_0, from min_fps to max_fps
            step_fps: eta_r, fps for one unit of phi, > 0
            phi_target: in the unit of the task's loss; the default is for HardLabelCrossEntropy
            interval_seconds: delta_t between decisions on the sampling rate, > 0
            start_seconds: the first decision is due interval_seconds after it
        Raises InvalidArgumentError that names the argument.
        """
    def decide(self, now_seconds: typing.SupportsFloat | typing.SupportsIndex, mean_phi: typing.SupportsFloat | typing.SupportsIndex) -> float:
        """
        Applies equation (1) once and returns the new rate in fps.
        """
    def due(self, now_seconds: typing.SupportsFloat | typing.SupportsIndex) -> bool:
        """
        Is it time for the next decision?
        """
    def restore(self, *, rate_fps: typing.SupportsFloat | typing.SupportsIndex, next_decision_seconds: typing.SupportsFloat | typing.SupportsIndex) -> None:
        """
        Goes on from a state(): restore(**state).
        """
    def state(self) -> dict[str, typing.Any]:
        """
        All that it remembers, for restore().
        """
    @property
    def rate_fps(self) -> float:
        """
        r_t, fps.
        """
class TrainingRateController:
    """
    Adaptive training rate (appendix D): a video that changes slowly gets fewer updates. Two modes with
    hysteresis, by the mean of the latest sampling rates. Not thread-safe.
    """
    def __init__(self, *, base_interval_seconds: float = 10.0, slow_below_fps: float = 0.25, fast_above_fps: float = 0.35, step_seconds: float = 2.0, max_factor: float = 6.0, window: int = 5) -> None:
        """
            base_interval_seconds: T_update at full pace, > 0
            slow_below_fps: mean sampling rate below which slow-down begins, > 0
            fast_above_fps: mean sampling rate above which it ends, >= slow_below_fps
            step_seconds: growth of T_update per update while slowed down, > 0
            max_factor: T_update grows up to so many times its base, >= 1
            window: number of latest sampling rates in the mean, 1 to 1000
        Raises InvalidArgumentError that names the argument.
        """
    def advance(self) -> float:
        """
        Counts one model update and returns T_update: seconds from this update to the next.
        """
    def observe(self, sampling_rate_fps: typing.SupportsFloat | typing.SupportsIndex) -> None:
        """
        Takes the rate that equation (1) has just set, and sets the mode.
        """
    def restore(self, *, interval_seconds: typing.SupportsFloat | typing.SupportsIndex, slowed_down: bool, recent_rates_fps: collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex]) -> None:
        """
        Goes on from a state(): restore(**state).
        """
    def state(self) -> dict[str, typing.Any]:
        """
        All that it remembers, for restore().
        """
    @property
    def interval_seconds(self) -> float:
        """
        T_update.
        """
    @property
    def slowed_down(self) -> bool:
        """
        Is it in slow-down mode?
        """
class HorizonReplayBuffer:
    """
    The training buffer B of Algorithm 1: samples (any objects) with time stamps, of which mini-batches
    are drawn uniformly with replacement over the last horizon_seconds. Thread-safe. len() is the number
    of samples.
    """
    def __init__(self, *, horizon_seconds: typing.SupportsFloat | typing.SupportsIndex = 240.0, max_samples: typing.SupportsInt | typing.SupportsIndex = 4096, max_bytes: typing.Any = None, size_of: collections.abc.Callable[[typing.Any], int] | None = None, seed: typing.SupportsInt | typing.SupportsIndex = 0) -> None:
        """
        horizon_seconds: T_horizon, > 0. max_samples: >= 1. max_bytes: >= 1, None for no limit. size_of:
        sample -> bytes. Whatever bound comes first drops the oldest samples.
        """
    def __len__(self) -> int:
        ...
    def add(self, time_seconds: typing.SupportsFloat | typing.SupportsIndex, sample: typing.Any) -> bool:
        """
        Keeps a sample; False when it would be forgotten at once. Times need not come in order. Raises
        InvalidArgumentError when the time is not finite, LimitExceededError when the sample alone is over
        max_bytes, and what size_of raises.
        """
    def clear(self) -> None:
        """
        Forgets all samples.
        """
    def count_in_horizon(self, now_seconds: typing.SupportsFloat | typing.SupportsIndex) -> int:
        """
        Number of samples that draw() chooses from.
        """
    def draw(self, now_seconds: typing.SupportsFloat | typing.SupportsIndex, batch_count: typing.SupportsInt | typing.SupportsIndex, batch_size: typing.SupportsInt | typing.SupportsIndex) -> list[list[typing.Any]]:
        """
        `batch_count` lists of `batch_size` samples of [now_seconds - horizon_seconds, now_seconds]; empty
        when there are none.
        """
    def entries(self) -> list[typing.Any]:
        """
        (time_seconds, sample) of all that is held, oldest first.
        """
    @property
    def size_bytes(self) -> int:
        """
        Bytes of the samples, as size_of tells them.
        """
class ModelReadGuard:
    """
    Access to the active copy of a ModelHolder within a with block.
    """
    def __enter__(self) -> typing.Any:
        ...
    def __exit__(self, *args: typing.Any) -> None:
        ...
    @property
    def generation(self) -> int:
        """
        How many updates had been published when this copy became active.
        """
class ModelHolder:
    """
    Two copies of a model, of which readers use the active one while the next version is made in the
    inactive one (section 3, "Edge device"). Inference never waits for an update and never sees half of
    one.
    
        holder = ModelHolder(model)                      # with a deep copy of it as the second
        with holder.read() as active:                    # inference thread, for every frame
            labels = active(frame)
        holder.update(lambda inactive, active: inactive.load(values))   # network thread
    
    Any number of threads may read and update. update() waits for readers of the copy that it is about
    to write, without the GIL; a thread that calls it within its own read() block waits for itself,
    until Ctrl-C.
    """
    def __init__(self, active: typing.Any, inactive: typing.Any = None) -> None:
        """
        Readers see `active` first. inactive: another copy of the model; None makes a deep copy.
        """
    def read(self) -> ModelReadGuard:
        """
        The active copy, for one with block. Never waits.
        """
    def update(self, change: collections.abc.Callable[[typing.Any, typing.Any], None]) -> int:
        """
        Makes the next version: change(inactive, active) gives `inactive` a whole new value in place, and
        readers that come after see it. Returns its generation. When `change` raises, nothing is published
        and the exception passes on.
        """
class HardLabelCrossEntropy:
    """
    The segmentation task's loss on hard labels: a right pixel costs 0, a wrong one -ln(floor), and the
    loss is the mean. The unit of SamplingRateController's phi_target.
    """
    def __call__(self, prediction: numpy.ndarray, truth: numpy.ndarray) -> float | None:
        """
        The loss of two label maps, uint8 [H, W] each; None when they have no pixel in common that
        counts.
        """
    def __init__(self, classes: int | collections.abc.Sequence[int], *, floor: typing.SupportsFloat | typing.SupportsIndex = 0.01, ignore_id: typing.SupportsInt | typing.SupportsIndex = 255) -> None:
        """
        classes: a number of classes, or their ids. floor: in (0, 1).
        """
    @property
    def wrong_pixel_loss(self) -> float:
        """
        -ln(floor): the largest loss.
        """
class ConfusionMatrix:
    """
    Pixel counts by true and by predicted class, and the intersection over union that follows, in [0,
    1]. A pixel counts when its true class is one of the classes; a prediction outside them is a miss of
    the true class. Not thread-safe.
    """
    __hash__: typing.ClassVar[None] = None  # type: ignore[assignment]
    def __eq__(self, arg0: object) -> bool:
        ...
    def __iadd__(self, arg0: ConfusionMatrix) -> ConfusionMatrix:
        ...
    def __init__(self, classes: int | collections.abc.Sequence[int], *, ignore_id: typing.SupportsInt | typing.SupportsIndex = 255) -> None:
        """
        classes: a number of classes, or their ids.
        """
    def __isub__(self, arg0: ConfusionMatrix) -> ConfusionMatrix:
        ...
    def add(self, prediction: numpy.ndarray, truth: numpy.ndarray) -> None:
        """
        Counts a frame's pixels: uint8 [H, W] each. Raises InvalidArgumentError unless the shapes are
        equal.
        """
    def clear(self) -> None:
        """
        Forgets all counts.
        """
    def iou(self) -> list[float | None]:
        """
        Intersection over union of each class; None for one that occurs nowhere.
        """
    def mean_iou(self) -> float | None:
        """
        Mean over the classes that occur; None when none does.
        """
    @property
    def classes(self) -> list[int]:
        """
        The class ids.
        """
    @property
    def counts(self) -> numpy.typing.NDArray[numpy.uint64]:
        """
        uint64 [classes, classes + 1]: rows are true classes, columns predicted ones, the last one any other.
        """
    @property
    def pixels(self) -> int:
        """
        Number of pixels that counted.
        """
class MiouSummary:
    """
    mIoU of a video so far, by three definitions; None where nothing counted.
    """
    def __repr__(self) -> str:
        ...
    @property
    def frames(self) -> int:
        """
        Frames that the averages are over (start-up left out).
        """
    @property
    def per_frame(self) -> float | None:
        """
        Mean over frames of the frame's own mIoU.
        """
    @property
    def sliding(self) -> float | None:
        """
        The paper's: mean over frames of the window's mIoU.
        """
    @property
    def whole_video(self) -> float | None:
        """
        mIoU of all frames' counts together.
        """
class SlidingMiou:
    """
    The paper's accuracy measure: for every frame the confusion matrix summed over the last
    window_seconds of video, its IoU averaged over the classes that occur; then the mean over frames.
    Not thread-safe.
    """
    def __init__(self, classes: int | collections.abc.Sequence[int], *, window_seconds: typing.SupportsFloat | typing.SupportsIndex = 10.0, start_up_seconds: typing.SupportsFloat | typing.SupportsIndex = 0.0, ignore_id: typing.SupportsInt | typing.SupportsIndex = 255) -> None:
        """
        classes: a number of classes, or their ids. window_seconds: > 0. start_up_seconds: frames before
        this time are left out of the averages.
        """
    def add(self, prediction: numpy.ndarray, truth: numpy.ndarray, time_seconds: typing.SupportsFloat | typing.SupportsIndex) -> float | None:
        """
        Takes the next frame (uint8 [H, W] each) and returns the window's mIoU at its time; None when no
        pixel counts. Times do not go back.
        """
    def summary(self) -> MiouSummary:
        """
        The averages so far.
        """
    @property
    def current(self) -> float | None:
        """
        The window's mIoU at the latest frame.
        """
    @property
    def window(self) -> ConfusionMatrix:
        """
        The window's counts, copied.
        """
class HardBoxLoss:
    """
    The detection task's loss on hard labels: -ln(floor) * box_disagreement. The unit of
    SamplingRateController's phi_target.
    """
    def __call__(self, prediction: numpy.ndarray, truth: numpy.ndarray) -> float:
        """
        The loss of two sets of boxes, float32 [n, 6] each.
        """
    def __init__(self, floor: typing.SupportsFloat | typing.SupportsIndex = 0.01) -> None:
        """
        floor: in (0, 1).
        """
    @property
    def largest_loss(self) -> float:
        """
        -ln(floor): of two sets that have nothing in common.
        """
class PrecisionSummary:
    """
    Average precision over the classes that occur in the truth, in [0, 1]; None where none does.
    """
    def __repr__(self) -> str:
        ...
    @property
    def ap50(self) -> float | None:
        """
        A box is found at an IoU of 0.5 or more.
        """
    @property
    def ap50_95(self) -> float | None:
        """
        Mean over IoUs of 0.5, 0.55, ..., 0.95.
        """
class AveragePrecision:
    """
    Average precision of a set of pictures, as COCO defines it (101 levels of recall). Sets of boxes are
    float32 [n, 6]: left, top, right, bottom, class, score. Not thread-safe. Memory grows by 8 bytes a
    box.
    """
    def __init__(self, class_count: typing.SupportsInt | typing.SupportsIndex, *, max_detections: typing.SupportsInt | typing.SupportsIndex = 100) -> None:
        """
        class_count: 1 to 65535. max_detections: of each class and picture so many of the surest boxes
        count.
        """
    def __len__(self) -> int:
        """
        Number of pictures.
        """
    def add(self, prediction: numpy.ndarray, truth: numpy.ndarray) -> None:
        """
        Takes the next picture. Raises InvalidArgumentError as check_boxes(); nothing has changed then.
        """
    def of_class(self, class_id: typing.SupportsInt | typing.SupportsIndex) -> PrecisionSummary:
        """
        Of one class.
        """
    def summary(self) -> PrecisionSummary:
        """
        Of all pictures so far.
        """
class SlidingPrecision:
    """
    Average precision of a video as it goes: for every frame that of the last window_seconds, then the
    mean over frames. Memory does not grow. Not thread-safe.
    """
    def __init__(self, class_count: typing.SupportsInt | typing.SupportsIndex, *, window_seconds: typing.SupportsFloat | typing.SupportsIndex = 10.0, max_detections: typing.SupportsInt | typing.SupportsIndex = 100) -> None:
        """
        class_count: 1 to 65535. window_seconds: > 0. max_detections: as AveragePrecision.
        """
    def add(self, prediction: numpy.ndarray, truth: numpy.ndarray, time_seconds: typing.SupportsFloat | typing.SupportsIndex) -> PrecisionSummary:
        """
        Takes the next frame and gives what the window has now. Times do not go back.
        """
    def summary(self) -> PrecisionSummary:
        """
        The mean over frames whose window has a true box.
        """
class Hello:
    """
    Device to server: the first message of a connection.
    """
    def __init__(self, *, device_id: str, token: str = '', manifest_digest: typing.SupportsInt | typing.SupportsIndex, held: ModelVersion, student_fingerprint: typing.SupportsInt | typing.SupportsIndex = 0, version: typing.SupportsInt | typing.SupportsIndex = 1) -> None:
        ...
    def __repr__(self) -> str:
        ...
    @property
    def device_id(self) -> str:
        """
        Names the session to resume; 1 to 128 bytes.
        """
    @property
    def held(self) -> ModelVersion:
        """
        The ModelVersion that the device holds.
        """
    @property
    def manifest_digest(self) -> int:
        """
        Of the student.
        """
    @property
    def student_fingerprint(self) -> int:
        """
        Of all else that must agree; 0: nothing.
        """
    @property
    def token(self) -> str:
        """
        Up to 1024 bytes; the driver's to check.
        """
    @property
    def version(self) -> int:
        """
        Protocol version.
        """
class FrameBatch:
    """
    Device to server: the samples of one T_update, compressed together.
    """
    def __init__(self, *, batch_id: typing.SupportsInt | typing.SupportsIndex, capture_seconds: collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex], bitstream: bytes | bytearray | memoryview | numpy.ndarray) -> None:
        ...
    def __repr__(self) -> str:
        ...
    @property
    def batch_id(self) -> int:
        """
        Counts from 1 in a device's life.
        """
    @property
    def bitstream(self) -> bytes:
        """
        H.264 Annex B, as many frames as capture_seconds.
        """
    @property
    def capture_seconds(self) -> list[float]:
        """
        One per frame, ascending.
        """
class Ack:
    """
    Device to server: the device now holds this version.
    """
    def __init__(self, *, held: ModelVersion) -> None:
        ...
    def __repr__(self) -> str:
        ...
    @property
    def held(self) -> ModelVersion:
        """
        ModelVersion.
        """
class Refusal:
    """
    Device to server: an update or snapshot was refused whole.
    """
    def __init__(self, *, held: ModelVersion, code: str = 'malformed_data', message: str = '') -> None:
        ...
    def __repr__(self) -> str:
        ...
    @property
    def code(self) -> str:
        """
        As Error.code.
        """
    @property
    def held(self) -> ModelVersion:
        """
        The ModelVersion that the device still holds.
        """
    @property
    def message(self) -> str:
        """
        For people.
        """
class Welcome:
    """
    Server to device: the answer to Hello.
    """
    def __init__(self, *, session_id: typing.SupportsInt | typing.SupportsIndex = 0, resume: str = 'in_step', sampling_rate_fps: typing.SupportsFloat | typing.SupportsIndex = 1.0, update_interval_seconds: typing.SupportsFloat | typing.SupportsIndex = 10.0, last_batch_id: typing.SupportsInt | typing.SupportsIndex = 0, version: typing.SupportsInt | typing.SupportsIndex = 1) -> None:
        ...
    def __repr__(self) -> str:
        ...
    @property
    def last_batch_id(self) -> int:
        """
        Newest FrameBatch that the server has; 0: none.
        """
    @property
    def resume(self) -> str:
        """
        'in_step', 'updates' (that follow) or 'snapshot' (that follows).
        """
    @property
    def sampling_rate_fps(self) -> float:
        """
        For the device to sample at.
        """
    @property
    def session_id(self) -> int:
        """
        For logs.
        """
    @property
    def update_interval_seconds(self) -> float:
        """
        T_update.
        """
    @property
    def version(self) -> int:
        """
        Protocol version.
        """
class Control:
    """
    Server to device: new rates.
    """
    def __init__(self, *, sampling_rate_fps: typing.SupportsFloat | typing.SupportsIndex, update_interval_seconds: typing.SupportsFloat | typing.SupportsIndex) -> None:
        ...
    def __repr__(self) -> str:
        ...
    @property
    def sampling_rate_fps(self) -> float:
        """
        For the device to sample at.
        """
    @property
    def update_interval_seconds(self) -> float:
        """
        T_update.
        """
class Update:
    """
    Server to device: bytes of encode_update().
    """
    def __init__(self, data: bytes | bytearray | memoryview | numpy.ndarray) -> None:
        ...
    def __repr__(self) -> str:
        ...
    @property
    def data(self) -> bytes:
        """
        The codec's bytes.
        """
class Snapshot:
    """
    Server to device: bytes of encode_snapshot().
    """
    def __init__(self, data: bytes | bytearray | memoryview | numpy.ndarray) -> None:
        ...
    def __repr__(self) -> str:
        ...
    @property
    def data(self) -> bytes:
        """
        The codec's bytes.
        """
class SnapshotPart:
    """
    Server to device: a part of a snapshot, for a device that takes parts.
    """
    def __init__(self, *, digest: typing.SupportsInt | typing.SupportsIndex, size_bytes: typing.SupportsInt | typing.SupportsIndex, offset_bytes: typing.SupportsInt | typing.SupportsIndex, data: bytes | bytearray | memoryview | numpy.ndarray) -> None:
        ...
    def __repr__(self) -> str:
        ...
    @property
    def data(self) -> bytes:
        """
        At least one byte.
        """
    @property
    def digest(self) -> int:
        """
        Of the whole snapshot.
        """
    @property
    def offset_bytes(self) -> int:
        """
        Of this part in it.
        """
    @property
    def size_bytes(self) -> int:
        """
        Of the whole snapshot.
        """
class Fault:
    """
    Server to device: the server cannot go on with this connection.
    """
    def __init__(self, *, code: str = 'protocol_violation', message: str = '', retry_seconds: typing.SupportsFloat | typing.SupportsIndex = 0.0) -> None:
        ...
    def __repr__(self) -> str:
        ...
    @property
    def code(self) -> str:
        """
        As Error.code.
        """
    @property
    def message(self) -> str:
        """
        For people.
        """
    @property
    def retry_seconds(self) -> float:
        """
        The server is busy: come back after so long; 0: it does not say.
        """
class Bye:
    """
    Both ways: an orderly end.
    """
    def __init__(self, *, reason: str = '') -> None:
        ...
    def __repr__(self) -> str:
        ...
    @property
    def reason(self) -> str:
        """
        For people.
        """
class StartScores:
    """
    What the states that a phase may start from score on labels that nothing has been trained on, in
    [0, 1].
    """
    @property
    def held(self) -> float:
        """
        Of what the device holds.
        """
    @property
    def others(self) -> list[float]:
        """
        Of the others, the un-customised student first.
        """
    @property
    def start(self) -> int:
        """
        Where the phase started: 0 as planned, k at the k-th of the others.
        """
class TrainingResult:
    """
    What a training phase gives back.
    """
    def __init__(self, *, parameters: numpy.typing.ArrayLike, adam: AdamState, losses: collections.abc.Iterable[typing.Any], seconds: typing.SupportsFloat | typing.SupportsIndex = 0.0, scores: StartScores | None = None) -> None:
        """
        parameters: w_n after K iterations, float32 [dimension]; values outside the job's coordinates are
        unchanged, but for statistics. adam: AdamState after them. losses: of the K mini-batches. seconds:
        wall time of the phase. scores: what TrainingJob.try_starts() gave. All copied.
        """
    @property
    def adam(self) -> AdamState:
        """
        AdamState.
        """
    @property
    def losses(self) -> list[float]:
        """
        Of the K mini-batches, before each step.
        """
    @property
    def parameters(self) -> numpy.ndarray:
        """
        float32 [dimension], a read-only view.
        """
    @property
    def scores(self) -> StartScores | None:
        """
        StartScores of the job's trial, or None.
        """
    @property
    def seconds(self) -> float:
        """
        Wall time of the phase.
        """
class TrainingJob:
    """
    One training phase as a self-contained value (Algorithm 2, lines 3 to 14). A trainer goes through
    mini_batches and changes parameters in place, with step() or an optimiser of its own:
    
        for batch in job.mini_batches:
            loss, gradients = loss_and_gradients(job.parameters, batch)
            job.step(gradients)
            losses.append(loss)
        return job.result(losses=losses, seconds=...)
    """
    def result(self, *, losses: collections.abc.Iterable[typing.Any], seconds: typing.SupportsFloat | typing.SupportsIndex = 0.0, scores: StartScores | None = None) -> TrainingResult:
        """
        The TrainingResult of parameters and adam as they are now. scores: what try_starts() gave.
        """
    def step(self, gradients: numpy.typing.ArrayLike) -> None:
        """
        One iteration of Algorithm 2 (lines 9 to 13) on parameters and adam. gradients: float32 [dimension]
        of the loss at parameters. Raises InvalidArgumentError, with nothing changed. Runs without the
        GIL.
        """
    def try_starts(self, score: collections.abc.Callable[..., typing.Any]) -> StartScores | None:
        """
        Lets `parameters` start from the best of the states that the policy offers. score(values, samples):
        the score in [0, 1] of a student with these values, float32 [dimension], on these samples; None
        where they say nothing. Gives StartScores, which result() needs, or None where there is nothing to
        try.
        """
    @property
    def adam(self) -> AdamState:
        """
        Adam's memory, an AdamState.
        """
    @property
    def adam_options(self) -> dict[str, typing.Any]:
        """
        learning_rate, beta1, beta2, epsilon, epsilon_placement, and the multipliers by role that learning_rates come from.
        """
    @property
    def coordinates(self) -> CoordinateSet:
        """
        I_n: the CoordinateSet that may move.
        """
    @property
    def learning_rates(self) -> list[tuple[int, int, float]]:
        """
        (begin, end, multiplier) where the rate is another one; step() takes it into account.
        """
    @property
    def manifest(self) -> Manifest:
        """
        Layout of the parameters.
        """
    @property
    def mini_batches(self) -> list[list[typing.Any]]:
        """
        S_1 to S_K: lists of samples.
        """
    @property
    def parameters(self) -> numpy.ndarray:
        """
        w_n, float32 [dimension]: a view that can be written to; at first where the policy begins.
        """
    @property
    def required_gradients(self) -> list[bool]:
        """
        For each tensor of the manifest: is its gradient needed? Others have zeros.
        """
class SessionOptions:
    """
    What can be set about one device's session besides its task and its policy: an identity, a seed, and
    what the device may make its server hold.
    """
    def __init__(self, *, session_id: int = 1, seed: int = 0, snapshot_zstd_level: int = 3, max_buffer_samples: int = 4096, max_buffer_bytes: int = 1073741824, max_pending_batches: int = 8, max_frames_per_batch: int = 256, max_bitstream_bytes: int = 8388608, max_updates_in_flight: int = 4, ack_timeout_seconds: float = 300.0, max_consecutive_snapshots: int = 4, max_history_updates: int = 4096, max_history_bytes: int = 0) -> None:
        """
            session_id: goes to the device in Welcome, for its logs
            seed: of mini-batches and of what the policy draws
            snapshot_zstd_level: 1 to 19
            max_buffer_samples: in the replay buffer, >= 1; the newest ones stay
            max_buffer_bytes: of them, as Task.size_bytes() tells them, >= 1
            max_pending_batches: being labelled; more are dropped and counted, >= 1
            max_frames_per_batch: >= 1
            max_bitstream_bytes: of one batch, >= 1
            max_updates_in_flight: no phase begins while so many await their Ack, >= 1
            ack_timeout_seconds: a device that owes an Ack longer is disconnected, > 0; besides, what is on its way has the time that it takes at the policy's slowest_link_bps
            max_consecutive_snapshots: in answer to wrong acks and refusals without an Ack between, >= 1
            max_history_updates: updates kept for a device that comes back
            max_history_bytes: and their bytes; 0: about what a snapshot has
        Raises InvalidArgumentError that names the argument.
        """
    def __repr__(self) -> str:
        ...
    def to_dict(self) -> dict[str, typing.Any]:
        """
        All arguments by name.
        """
    @property
    def ack_timeout_seconds(self) -> float:
        """
        a device that owes an Ack longer is disconnected, > 0; besides, what is on its way has the time that it takes at the policy's slowest_link_bps
        """
    @property
    def max_bitstream_bytes(self) -> int:
        """
        of one batch, >= 1
        """
    @property
    def max_buffer_bytes(self) -> int:
        """
        of them, as Task.size_bytes() tells them, >= 1
        """
    @property
    def max_buffer_samples(self) -> int:
        """
        in the replay buffer, >= 1; the newest ones stay
        """
    @property
    def max_consecutive_snapshots(self) -> int:
        """
        in answer to wrong acks and refusals without an Ack between, >= 1
        """
    @property
    def max_frames_per_batch(self) -> int:
        """
        >= 1
        """
    @property
    def max_history_bytes(self) -> int:
        """
        and their bytes; 0: about what a snapshot has
        """
    @property
    def max_history_updates(self) -> int:
        """
        updates kept for a device that comes back
        """
    @property
    def max_pending_batches(self) -> int:
        """
        being labelled; more are dropped and counted, >= 1
        """
    @property
    def max_updates_in_flight(self) -> int:
        """
        no phase begins while so many await their Ack, >= 1
        """
    @property
    def seed(self) -> int:
        """
        of mini-batches and of what the policy draws
        """
    @property
    def session_id(self) -> int:
        """
        goes to the device in Welcome, for its logs
        """
    @property
    def snapshot_zstd_level(self) -> int:
        """
        1 to 19
        """
class ClientOptions:
    """
    Everything that can be set about a device's client.
    """
    def __init__(self, *, device_id: str = 'device', token: str = '', student_fingerprint: int = 0, sampling_rate_fps: float = 1.0, max_sampling_rate_fps: float = 60.0, update_interval_seconds: float = 2.0, scene_change_fps: float = 2.0, scene_change_seconds: float = 4.0, first_batch_seconds: float = 0.0, max_buffered_frames: int = 64, max_frames_per_batch: int = 64, max_kept_batches: int = 2, welcome_timeout_seconds: float = 30.0, goodbye_timeout_seconds: float = 5.0, reconnect_min_seconds: float = 0.5, reconnect_max_seconds: float = 30.0, max_consecutive_refusals: int = 8, ack_policy: str = 'published', seed: int = 0) -> None:
        """
            device_id: 1 to 128 bytes; names the session to resume
            token: up to 1024 bytes
            student_fingerprint: goes into Hello as it is
            sampling_rate_fps: until the server says otherwise, 0.001 to max_sampling_rate_fps
            max_sampling_rate_fps: a server that asks for more is disconnected
            update_interval_seconds: T_update until the server says otherwise, 0.1 to 3600
            scene_change_fps: after a scene change frames are sampled at least so often
            scene_change_seconds: for so long; 0: scene changes are ignored
            first_batch_seconds: the first batch leaves so long after its first sample, >= 0
            max_buffered_frames: samples, >= 1; as many leave before T_update, or else the oldest are dropped
            max_frames_per_batch: a larger buffer leaves in several batches, 1 to 256
            max_kept_batches: sent, but not known to have arrived
            welcome_timeout_seconds: from connection to Welcome, > 0
            goodbye_timeout_seconds: from Bye to the connection's end, > 0
            reconnect_min_seconds: first delay; doubles with every failure, > 0
            reconnect_max_seconds: >= reconnect_min_seconds
            max_consecutive_refusals: then the device disconnects and starts over, >= 1
            ack_policy: 'published' (once the driver runs a version) or 'applied' (as soon as its values are held)
            seed: of the jitter of reconnect delays
        Raises InvalidArgumentError that names the argument.
        """
    def __repr__(self) -> str:
        ...
    def to_dict(self) -> dict[str, typing.Any]:
        """
        All arguments by name.
        """
    @property
    def ack_policy(self) -> str:
        """
        'published' (once the driver runs a version) or 'applied' (as soon as its values are held)
        """
    @property
    def device_id(self) -> str:
        """
        1 to 128 bytes; names the session to resume
        """
    @property
    def first_batch_seconds(self) -> float:
        """
        the first batch leaves so long after its first sample, >= 0
        """
    @property
    def goodbye_timeout_seconds(self) -> float:
        """
        from Bye to the connection's end, > 0
        """
    @property
    def max_buffered_frames(self) -> int:
        """
        samples, >= 1; as many leave before T_update, or else the oldest are dropped
        """
    @property
    def max_consecutive_refusals(self) -> int:
        """
        then the device disconnects and starts over, >= 1
        """
    @property
    def max_frames_per_batch(self) -> int:
        """
        a larger buffer leaves in several batches, 1 to 256
        """
    @property
    def max_kept_batches(self) -> int:
        """
        sent, but not known to have arrived
        """
    @property
    def max_sampling_rate_fps(self) -> float:
        """
        a server that asks for more is disconnected
        """
    @property
    def reconnect_max_seconds(self) -> float:
        """
        >= reconnect_min_seconds
        """
    @property
    def reconnect_min_seconds(self) -> float:
        """
        first delay; doubles with every failure, > 0
        """
    @property
    def sampling_rate_fps(self) -> float:
        """
        until the server says otherwise, 0.001 to max_sampling_rate_fps
        """
    @property
    def scene_change_fps(self) -> float:
        """
        after a scene change frames are sampled at least so often
        """
    @property
    def scene_change_seconds(self) -> float:
        """
        for so long; 0: scene changes are ignored
        """
    @property
    def seed(self) -> int:
        """
        of the jitter of reconnect delays
        """
    @property
    def student_fingerprint(self) -> int:
        """
        goes into Hello as it is
        """
    @property
    def token(self) -> str:
        """
        up to 1024 bytes
        """
    @property
    def update_interval_seconds(self) -> float:
        """
        T_update until the server says otherwise, 0.1 to 3600
        """
    @property
    def welcome_timeout_seconds(self) -> float:
        """
        from connection to Welcome, > 0
        """
class TaskScore:
    """
    What Task.score() gives for a task of C++.
    """
    def add(self, prediction: typing.Any, label: typing.Any, capture_seconds: typing.SupportsFloat | typing.SupportsIndex) -> float | None:
        """
        Takes the next frame; the score of the latest seconds, or None.
        """
    def summary(self) -> list[tuple[str, float | None]]:
        """
        (name, value) of each result so far.
        """
class Task:
    """
    What a sample is, how much two samples' labels differ, and how predictions are scored and shown.
    Derive from it; every method but score() has a default. Frames come from the frame codec, labels
    from the teacher, predictions from the predictor: any objects. The loss belongs to the trainer.
    
        class Regression(ams.Task):
            def phi(self, previous, current):
                return abs(current[1] - previous[1])
    """
    def __init__(self) -> None:
        ...
    def difference(self, previous: typing.Any, current: typing.Any) -> float | None:
        """
        Share of two predictions that differs, in [0, 1]: a device sees scene changes by it. None where they
        cannot be compared; by default always, and no scene change is seen.
        """
    def draw(self, frame: typing.Any, label: typing.Any) -> numpy.ndarray:
        """
        The frame with a label or a prediction drawn over it: uint8 [H, W, 3]. By default the frame, which
        then is such an array.
        """
    def frame_and_label(self, sample: typing.Any) -> tuple[typing.Any, typing.Any]:
        """
        The frame, uint8 [H, W, 3], and the label that a sample was made of, as draw() takes them; (None,
        None) where they are not there. By default those of a sample of sample()'s; an operator of ams.serve
        then sees pictures.
        """
    def pack_label(self, label: typing.Any) -> bytes:
        """
        A label as bytes, for a store: with the frames as they came, samples outlive the server. By default
        empty, and samples are not kept.
        """
    def phi(self, previous: typing.Any, current: typing.Any) -> float | None:
        """
        phi-score of two consecutive samples (section 3.2), finite: the task's loss with `current`'s label
        as the prediction and `previous`'s as the truth. None where they cannot be compared; by default
        always.
        """
    def sample(self, frame: typing.Any, label: typing.Any) -> typing.Any:
        """
        The sample that the session keeps and the trainer reads. By default (frame, label).
        """
    def score(self) -> TaskScore:
        """
        A new object that scores predictions. add(prediction, label, capture_seconds) takes the next frame
        and gives the score of the latest seconds, in [0, 1], or None; summary() gives (name, value or None)
        pairs, the main one first.
        """
    def size_bytes(self, sample: typing.Any) -> int:
        """
        What a sample counts against SessionOptions.max_buffer_bytes, always the same for one sample. By
        default 0.
        """
    def unpack_label(self, data: bytes | bytearray | memoryview | numpy.ndarray) -> typing.Any:
        """
        The label that pack_label() wrote. By default none are kept.
        """
    @property
    def name(self) -> str:
        """
        For logs and reports, e.g. 'segmentation'.
        """
class SegmentationTask(Task):
    """
    Semantic segmentation as a Task of the library's own: labels and predictions are uint8 [H, W], class
    ids, samples LabelledFrame. It runs without the GIL. See ams.SegmentationTask.
    """
    def __init__(self, classes: int | collections.abc.Sequence[int], class_names: collections.abc.Sequence[str], input_size: tuple[typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex]) -> None:
        """
        classes: how many, or their ids. class_names: of all ids, for colours; may be empty. input_size:
        (height, width) of samples, pixels. Raises InvalidArgumentError.
        """
    def pack_label(self, label: numpy.ndarray) -> bytes:
        """
        A label map, uint8 [H, W], as bytes for a store.
        """
class Random:
    """
    Random numbers that are the same on every machine for a session's seed; good within plan().
    """
    def below(self, bound: typing.SupportsInt | typing.SupportsIndex) -> int:
        """
        A whole number, uniform in [0, bound); bound >= 1.
        """
    def uniform(self) -> float:
        """
        Uniform in [0, 1).
        """
class PhaseContext:
    """
    What a policy may look at when it says when a phase begins and plans it; good within that call.
    """
    @property
    def adam(self) -> AdamState:
        """
        As the latest phase left it: a copy.
        """
    @property
    def held(self) -> ModelState:
        """
        What the device holds, or will: a copy.
        """
    @property
    def latest_begin_seconds(self) -> float | None:
        """
        Of the latest phase; None before the first.
        """
    @property
    def new_samples(self) -> int:
        """
        Of them, since the latest phase began; at least 1.
        """
    @property
    def now_seconds(self) -> float:
        """
        The driver's clock.
        """
    @property
    def samples(self) -> int:
        """
        Labelled so far.
        """
class TrainingReport:
    """
    How a phase went, before its update is written; good within on_trained().
    """
    @property
    def iterations(self) -> int:
        """
        K.
        """
    @property
    def losses(self) -> list[float]:
        """
        One for each mini-batch, or none.
        """
    @property
    def scores(self) -> StartScores | None:
        """
        StartScores of the plan's other starts; None where none were tried.
        """
    @property
    def seconds(self) -> float:
        """
        From its becoming due to its end, by the driver's clock.
        """
class WriteReport:
    """
    What came of a phase's update; good within on_written().
    """
    @property
    def bytes(self) -> int:
        """
        Of the update; 0 when withheld.
        """
    @property
    def coordinates(self) -> CoordinateSet:
        """
        Written, with the statistics that changed.
        """
    @property
    def held(self) -> numpy.typing.NDArray[numpy.float32]:
        """
        What the device will hold: float32 [dimension], a copy.
        """
    @property
    def is_withheld(self) -> bool:
        """
        No way fitted; the device keeps its version.
        """
    @property
    def trained(self) -> numpy.typing.NDArray[numpy.float32]:
        """
        w_n after K iterations: float32 [dimension], a copy.
        """
    @property
    def usual_bytes(self) -> int:
        """
        That the usual way has.
        """
class PhasePlan:
    """
    One training phase: where it starts, what it trains, how fast, on how much.
    """
    def __init__(self, *, parameters: numpy.typing.ArrayLike, coordinates: CoordinateSet | numpy.typing.ArrayLike, required_gradients: collections.abc.Sequence[bool], learning_rates: collections.abc.Sequence[tuple[int, int, float]] = [], other_starts: collections.abc.Sequence[numpy.typing.ArrayLike] = [], start_margin: float = 0.05, iterations: int = 20, batch_size: int = 8, recency_seconds: float = 0.0, learning_rate: float = 0.001, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-08, epsilon_placement: str = 'outside_root', weight_multiplier: float = 1.0, normalization_multiplier: float = 1.0, head_multiplier: float = 1.0) -> None:
        """
            parameters: where training starts, float32 [dimension]; copied
            coordinates: I_n, a CoordinateSet, ascending integers [n], or a boolean mask [dimension]
            required_gradients: one for each tensor of the manifest
            learning_rates: (begin, end, multiplier) of other rates, as learning_rate_ranges() gives them
            other_starts: states to start from where better on the newest labels, the un-customised student
                first; float32 [dimension] each, copied
            start_margin: how much better than what the device holds another start must score, >= 0
            iterations: K, 1 to 10000
            batch_size: samples of a mini-batch, 1 to 4096
            recency_seconds: half of a mini-batch is of the newest so many seconds; 0: all alike
            learning_rate: alpha, > 0 and at most 1e6
            beta1: in [0, 1)
            beta2: in [0, 1)
            epsilon: 1e-30 to 1e6
            epsilon_placement: 'outside_root' (as torch.optim.Adam) or 'inside_root' (as Algorithm 2 is printed)
            weight_multiplier: of learning_rate, for tensors of role 'weight'; (0, 1e6]
            normalization_multiplier: likewise, of role 'normalization'
            head_multiplier: likewise, of role 'head'
        Raises InvalidArgumentError that names the argument.
        """
    def __repr__(self) -> str:
        ...
    def to_dict(self) -> dict[str, typing.Any]:
        """
        All arguments by name.
        """
    @property
    def batch_size(self) -> int:
        """
        samples of a mini-batch, 1 to 4096
        """
    @property
    def beta1(self) -> float:
        """
        in [0, 1)
        """
    @property
    def beta2(self) -> float:
        """
        in [0, 1)
        """
    @property
    def coordinates(self) -> CoordinateSet:
        """
        I_n.
        """
    @property
    def epsilon(self) -> float:
        """
        1e-30 to 1e6
        """
    @property
    def epsilon_placement(self) -> str:
        """
        'outside_root' (as torch.optim.Adam) or 'inside_root' (as Algorithm 2 is printed)
        """
    @property
    def head_multiplier(self) -> float:
        """
        likewise, of role 'head'
        """
    @property
    def iterations(self) -> int:
        """
        K, 1 to 10000
        """
    @property
    def learning_rate(self) -> float:
        """
        alpha, > 0 and at most 1e6
        """
    @property
    def learning_rates(self) -> list[tuple[int, int, float]]:
        """
        (begin, end, multiplier) each.
        """
    @property
    def normalization_multiplier(self) -> float:
        """
        likewise, of role 'normalization'
        """
    @property
    def parameters(self) -> numpy.ndarray:
        """
        float32 [dimension], a read-only view.
        """
    @property
    def recency_seconds(self) -> float:
        """
        half of a mini-batch is of the newest so many seconds; 0: all alike
        """
    @property
    def required_gradients(self) -> list[bool]:
        """
        One for each tensor.
        """
    @property
    def weight_multiplier(self) -> float:
        """
        of learning_rate, for tensors of role 'weight'; (0, 1e6]
        """
class EncodePlan:
    """
    How an update may be written: the finest of some ways that fits.
    """
    def __init__(self, ways: collections.abc.Sequence[EncodeOptions] = ..., *, usual: typing.SupportsInt | typing.SupportsIndex = 0, max_bytes: typing.SupportsInt | typing.SupportsIndex | None = None, least_kept: typing.SupportsFloat | typing.SupportsIndex = 0.0) -> None:
        """
        ways: EncodeOptions from fine to coarse, at least one. usual: index of the way that is tried first.
        max_bytes: of the update; None for no limit. least_kept: the update is withheld when it keeps less
        than this share of the parameters' movement, [0, 1].
        """
    @property
    def least_kept(self) -> float:
        """
        Share of the movement, [0, 1].
        """
    @property
    def max_bytes(self) -> int | None:
        """
        Of the update; None for no limit.
        """
    @property
    def usual(self) -> int:
        """
        Index of the way that is tried first.
        """
    @property
    def ways(self) -> list[EncodeOptions]:
        """
        From fine to coarse.
        """
class UpdatePolicy:
    """
    Decides for one session what a phase trains, how its update is written, and at what pace. Derive
    from it, or use PaperPolicy, FixedPolicy or BudgetPolicy. All but plan() has a default; attributes
    of the class or of the object take the properties' place.
    
        class All(ams.UpdatePolicy):
            update_interval_seconds = 5.0
            def plan(self, context, random):
                held = context.held
                return ams.PhasePlan(
                    parameters=held.values,
                    coordinates=ams.CoordinateSet.all(held.manifest.dimension),
                    required_gradients=[True] * len(held.manifest.tensors),
                )
    
    A session owns one, and calls it from one thread at a time. A policy keeps no clock.
    """
    def __init__(self) -> None:
        ...
    def decide_rate(self, now_seconds: typing.SupportsFloat | typing.SupportsIndex, mean_phi: typing.SupportsFloat | typing.SupportsIndex) -> None:
        """
        The mean phi-score since the decision before.
        """
    def encode(self, now_seconds: typing.SupportsFloat | typing.SupportsIndex, losses: collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex]) -> EncodePlan:
        """
        The phase has ended: the EncodePlan of its update. By default profile 'reference'. losses: one for
        each mini-batch, or none where the trainer computes no loss.
        """
    def next_phase_seconds(self, context: PhaseContext) -> float | None:
        """
        When the next phase may begin; None: more samples must come. By default update_interval_seconds
        after the latest one.
        """
    def on_connected(self, now_seconds: typing.SupportsFloat | typing.SupportsIndex) -> None:
        """
        A connection was made.
        """
    def on_phase_lost(self) -> None:
        """
        The phase gave nothing: it failed, or the device had left.
        """
    def on_phi(self, phi: typing.SupportsFloat | typing.SupportsIndex) -> None:
        """
        Two consecutive samples have this phi-score.
        """
    def on_replaced(self) -> None:
        """
        The device gets another state, by hand, than the phases led to.
        """
    def on_sent(self, message: Welcome | Control | Update | Snapshot | Fault | Bye | SnapshotPart, is_repeated: bool, now_seconds: typing.SupportsFloat | typing.SupportsIndex) -> None:
        """
        A message leaves. is_repeated: an update that was written earlier and is sent once more.
        """
    def on_trained(self, report: TrainingReport) -> None:
        """
        The phase has ended well: a TrainingReport. encode() follows.
        """
    def on_written(self, report: WriteReport) -> None:
        """
        What came of the update, a WriteReport.
        """
    def plan(self, context: PhaseContext, random: Random) -> PhasePlan:
        """
        The PhasePlan of the phase that begins. Draws random numbers from `random` alone.
        """
    def prepare(self, initial: ModelState) -> None:
        """
        The session begins with this ModelState; called once, first. Raises InvalidArgumentError when the
        policy does not fit it.
        """
    def rate_due(self, now_seconds: typing.SupportsFloat | typing.SupportsIndex) -> bool:
        """
        Whether the sampling rate is to be decided on now. Asked when samples have come. By default
        False.
        """
    def start(self, now_seconds: typing.SupportsFloat | typing.SupportsIndex) -> None:
        """
        The time of the session's first event.
        """
    @property
    def buffer_samples(self) -> int:
        """
        And all but the newest so many. By default 4096.
        """
    @property
    def horizon_seconds(self) -> float:
        """
        T_horizon: older samples are forgotten. By default 240.
        """
    @property
    def sampling_rate_fps(self) -> float:
        """
        What the device is told. By default 1.
        """
    @property
    def slowest_link_bps(self) -> float:
        """
        A downlink that carries less is called broken when an Ack stays away. By default 8000.
        """
    @property
    def update_interval_seconds(self) -> float:
        """
        T_update, what the device is told. By default 2.
        """
    @property
    def wants_phi(self) -> bool:
        """
        Whether phi-scores are computed. By default False.
        """
class DownlinkBudget:
    """
    Tells how large the next update may be, so that no window's mean exceeds the downlink budget.
    
    - Half of what quiet times save is kept for a window and spent when the scene changes.
    - At the start a third of a window is advanced. Half of the budget repays it.
    - Bytes that cannot wait are owed (owe()). Debt reduces later allowances.
    
        budget = DownlinkBudget(budget_bps=2000)
        most = budget.allowance_bytes(now, update_interval, scene_changed=changed)
        update = ...                              # the best that fits into `most` bytes
        budget.spend(now, len(update), update_interval)
    
    BudgetPolicy(budget_bps=...) does this itself. It has no clock: the caller passes the time, in
    seconds on a timeline that does not go back. Not thread-safe.
    """
    def __init__(self, *, budget_bps: float = 2000.0, link_bps: float = 0.0, window_seconds: float = 60.0, overhead_bytes: float = 28.0, start_seconds: float = 0.0) -> None:
        """
            budget_bps: what the downlink may carry, the mean over a window with every byte counted; 50 to 1e9
            link_bps: what the link takes: no update is larger than this times T_update; at least the budget; 0: four times that
            window_seconds: of the mean, >= 1
            overhead_bytes: that an update costs besides its own: message, chunk, WebSocket and TLS headers; >= 0
            start_seconds: when the first window begins
        Raises InvalidArgumentError that names the argument.
        """
    def allowance_bytes(self, now_seconds: typing.SupportsFloat | typing.SupportsIndex, update_interval_seconds: typing.SupportsFloat | typing.SupportsIndex, *, scene_changed: bool = False) -> int:
        """
        The most bytes that an update may have now. update_interval_seconds: T_update, above 0, up to 3600.
        scene_changed: spends what was saved. Raises InvalidArgumentError.
        """
    def owe(self, now_seconds: typing.SupportsFloat | typing.SupportsIndex, bytes: typing.SupportsInt | typing.SupportsIndex) -> None:
        """
        Counts bytes that needed no allowance: a connection's handshake, a snapshot. Repays all debt evenly
        over half a window; over a longer time where that would take more than half of the budget. Raises
        InvalidArgumentError.
        """
    def spend(self, now_seconds: typing.SupportsFloat | typing.SupportsIndex, update_bytes: typing.SupportsInt | typing.SupportsIndex, update_interval_seconds: typing.SupportsFloat | typing.SupportsIndex) -> None:
        """
        An update of so many bytes goes out; it stands for the update_interval_seconds before.
        """
    def steady_bytes(self, update_interval_seconds: typing.SupportsFloat | typing.SupportsIndex) -> float:
        """
        What an update may have on average.
        """
class PaperPolicy(UpdatePolicy):
    """
    The paper's algorithm and nothing else: Algorithms 1 and 2, equation (1) and appendix D, updates in
    profile 'reference'. The defaults are those of its section 4.1.
    """
    def __init__(self, *, gamma: float = 0.05, learning_rate: float = 0.001, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-08, epsilon_placement: str = 'outside_root', update_interval_seconds: float = 10.0, iterations: int = 20, batch_size: int = 8, least_spacing: float = 1.0, min_samples: int = 4, horizon_seconds: float = 240.0, buffer_samples: int = 4096, recency_seconds: float = 0.0, trainer_share: float = 0.0, start_states: int = 0, adapt_sampling_rate: bool = True, min_fps: float = 0.1, max_fps: float = 1.0, initial_fps: float = 1.0, step_fps: float = 0.5, phi_target: float = 0.39, sampling_interval_seconds: float = 10.0, adapt_training_rate: bool = False, slow_below_fps: float = 0.25, fast_above_fps: float = 0.35, slow_step_seconds: float = 2.0, slow_max_factor: float = 6.0, slow_window: int = 5) -> None:
        """
            gamma: fraction of the parameters that an update carries, (0, 1]
            learning_rate: alpha, > 0 and at most 1e6
            beta1: in [0, 1)
            beta2: in [0, 1)
            epsilon: 1e-30 to 1e6
            epsilon_placement: 'outside_root' (as torch.optim.Adam) or 'inside_root' (as Algorithm 2 is printed)
            update_interval_seconds: T_update, 0.1 to 3600; the base when it is adapted
            iterations: K at most, 1 to 10000
            batch_size: samples of a mini-batch, 1 to 4096
            least_spacing: a phase begins when new labels are there, so many T_update after the one before at the earliest, 0.001 to 1
            min_samples: the first phase waits for so many labelled samples, >= 1
            horizon_seconds: T_horizon, > 0
            buffer_samples: a mini-batch is of no more than the newest so many samples of T_horizon; 0: as many as max_fps gives in a minute or a T_update, and 60 at least
            recency_seconds: half of a mini-batch is of the newest so many seconds; 0: all of T_horizon alike
            trainer_share: a phase takes no more than this share of T_update, its waiting included: first K shrinks, then T_update grows; 0: both stay
            start_states: tried before each phase besides what the device holds: the un-customised student, and what was held when the latest scenes ended; 0 to 64
            adapt_sampling_rate: equation (1); False: always initial_fps
            min_fps: r_min, > 0
            max_fps: r_max, >= min_fps
            initial_fps: r_0, from min_fps to max_fps
            step_fps: eta_r, fps for one unit of phi, > 0
            phi_target: in the unit of the task's loss; the default is for HardLabelCrossEntropy
            sampling_interval_seconds: delta_t between decisions on the sampling rate, > 0
            adapt_training_rate: appendix D; False: T_update never changes
            slow_below_fps: mean sampling rate below which slow-down begins, > 0
            fast_above_fps: mean sampling rate above which it ends, >= slow_below_fps
            slow_step_seconds: growth of T_update per update while slowed down, > 0
            slow_max_factor: T_update grows up to so many times its base, >= 1
            slow_window: number of latest sampling rates in the mean, 1 to 1000
        Raises InvalidArgumentError that names the argument.
        """
    def __repr__(self) -> str:
        ...
    def to_dict(self) -> dict[str, typing.Any]:
        """
        All arguments by name.
        """
    @property
    def adapt_sampling_rate(self) -> bool:
        """
        equation (1); False: always initial_fps
        """
    @property
    def adapt_training_rate(self) -> bool:
        """
        appendix D; False: T_update never changes
        """
    @property
    def batch_size(self) -> int:
        """
        samples of a mini-batch, 1 to 4096
        """
    @property
    def beta1(self) -> float:
        """
        in [0, 1)
        """
    @property
    def beta2(self) -> float:
        """
        in [0, 1)
        """
    @property
    def buffer_samples(self) -> int:
        """
        a mini-batch is of no more than the newest so many samples of T_horizon; 0: as many as max_fps gives in a minute or a T_update, and 60 at least
        """
    @property
    def epsilon(self) -> float:
        """
        1e-30 to 1e6
        """
    @property
    def epsilon_placement(self) -> str:
        """
        'outside_root' (as torch.optim.Adam) or 'inside_root' (as Algorithm 2 is printed)
        """
    @property
    def fast_above_fps(self) -> float:
        """
        mean sampling rate above which it ends, >= slow_below_fps
        """
    @property
    def gamma(self) -> float:
        """
        fraction of the parameters that an update carries, (0, 1]
        """
    @property
    def initial_fps(self) -> float:
        """
        r_0, from min_fps to max_fps
        """
    @property
    def iterations(self) -> int:
        """
        K at most, 1 to 10000
        """
    @property
    def learning_rate(self) -> float:
        """
        alpha, > 0 and at most 1e6
        """
    @property
    def least_spacing(self) -> float:
        """
        a phase begins when new labels are there, so many T_update after the one before at the earliest, 0.001 to 1
        """
    @property
    def max_fps(self) -> float:
        """
        r_max, >= min_fps
        """
    @property
    def min_fps(self) -> float:
        """
        r_min, > 0
        """
    @property
    def min_samples(self) -> int:
        """
        the first phase waits for so many labelled samples, >= 1
        """
    @property
    def phi_target(self) -> float:
        """
        in the unit of the task's loss; the default is for HardLabelCrossEntropy
        """
    @property
    def recency_seconds(self) -> float:
        """
        half of a mini-batch is of the newest so many seconds; 0: all of T_horizon alike
        """
    @property
    def sampling_interval_seconds(self) -> float:
        """
        delta_t between decisions on the sampling rate, > 0
        """
    @property
    def slow_below_fps(self) -> float:
        """
        mean sampling rate below which slow-down begins, > 0
        """
    @property
    def slow_max_factor(self) -> float:
        """
        T_update grows up to so many times its base, >= 1
        """
    @property
    def slow_step_seconds(self) -> float:
        """
        growth of T_update per update while slowed down, > 0
        """
    @property
    def slow_window(self) -> int:
        """
        number of latest sampling rates in the mean, 1 to 1000
        """
    @property
    def start_states(self) -> int:
        """
        tried before each phase besides what the device holds: the un-customised student, and what was held when the latest scenes ended; 0 to 64
        """
    @property
    def step_fps(self) -> float:
        """
        eta_r, fps for one unit of phi, > 0
        """
    @property
    def trainer_share(self) -> float:
        """
        a phase takes no more than this share of T_update, its waiting included: first K shrinks, then T_update grows; 0: both stay
        """
class FixedPolicy(UpdatePolicy):
    """
    One strategy and one encoding for the life of a session. The defaults are the settings that libams
    recommends; those of the paper are PaperPolicy's.
    """
    def __init__(self, *, strategy: str | Strategy | None = None, gamma: float | None = None, learning_rate: float = 0.002, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-08, epsilon_placement: str = 'outside_root', weight_multiplier: float | None = None, normalization_multiplier: float | None = None, head_multiplier: float | None = None, learning_rates_by_size: bool = True, profile: str = 'compact', zstd_level: int = 1, relative_step: float = 2.0, weight_step_multiplier: float = 1.0, dead_zone: float = 0.5, step_exponent: int | None = None, update_interval_seconds: float = 2.0, iterations: int = 8, batch_size: int = 8, least_spacing: float = 0.5, min_samples: int = 1, horizon_seconds: float = 240.0, buffer_samples: int = 0, recency_seconds: float = 10.0, trainer_share: float = 0.75, start_states: int = 1, adapt_sampling_rate: bool = True, min_fps: float = 0.1, max_fps: float = 1.0, initial_fps: float = 1.0, step_fps: float = 0.5, phi_target: float = 0.39, sampling_interval_seconds: float = 10.0, adapt_training_rate: bool = False, slow_below_fps: float = 0.25, fast_above_fps: float = 0.35, slow_step_seconds: float = 2.0, slow_max_factor: float = 6.0, slow_window: int = 5) -> None:
        """
            strategy: what a phase trains and sends, a Strategy or one of selection_strategy_names(); None: normalisation layers and head, or the whole model where it has no such layers
            gamma: fraction of the trainable coordinates, of strategies that choose one; (0, 1]; None: 0.05. Without a strategy it asks for 'gradient_guided'
            learning_rate: alpha, > 0 and at most 1e6
            beta1: in [0, 1)
            beta2: in [0, 1)
            epsilon: 1e-30 to 1e6
            epsilon_placement: 'outside_root' (as torch.optim.Adam) or 'inside_root' (as Algorithm 2 is printed)
            weight_multiplier: of learning_rate, for tensors of role 'weight', (0, 1e6]; None: the strategy's of recommended_multipliers()
            normalization_multiplier: likewise, of role 'normalization'
            head_multiplier: likewise, of role 'head'
            learning_rates_by_size: tensors whose values are small at the beginning learn less fast (learning_rate_scales()), so that one learning rate suits most networks; False: as in the paper
            profile: 'reference' (section 3.1.2: float16 values and their places) or 'compact' (differences in steps of a power of two, under a range coder that remembers)
            zstd_level: of 'reference', 1 (fast) to 19
            relative_step: of 'compact': a step is the power of two nearest to this times the root mean square of the differences, over the parameters of one role; 2^-20 to 2^20
            weight_step_multiplier: of 'compact': times as large for weights, neither normalisation nor head; likewise
            dead_zone: of 'compact': a parameter that would move by fewer steps stays where it is; 0.5 to 4
            step_exponent: of 'compact': 2^this is every step, in place of all that; -100 to 104
            update_interval_seconds: T_update, 0.1 to 3600; the base when it is adapted
            iterations: K at most, 1 to 10000
            batch_size: samples of a mini-batch, 1 to 4096
            least_spacing: a phase begins when new labels are there, so many T_update after the one before at the earliest, 0.001 to 1
            min_samples: the first phase waits for so many labelled samples, >= 1
            horizon_seconds: T_horizon, > 0
            buffer_samples: a mini-batch is of no more than the newest so many samples of T_horizon; 0: as many as max_fps gives in a minute or a T_update, and 60 at least
            recency_seconds: half of a mini-batch is of the newest so many seconds; 0: all of T_horizon alike
            trainer_share: a phase takes no more than this share of T_update, its waiting included: first K shrinks, then T_update grows; 0: both stay
            start_states: tried before each phase besides what the device holds: the un-customised student, and what was held when the latest scenes ended; 0 to 64
            adapt_sampling_rate: equation (1); False: always initial_fps
            min_fps: r_min, > 0
            max_fps: r_max, >= min_fps
            initial_fps: r_0, from min_fps to max_fps
            step_fps: eta_r, fps for one unit of phi, > 0
            phi_target: in the unit of the task's loss; the default is for HardLabelCrossEntropy
            sampling_interval_seconds: delta_t between decisions on the sampling rate, > 0
            adapt_training_rate: appendix D; False: T_update never changes
            slow_below_fps: mean sampling rate below which slow-down begins, > 0
            fast_above_fps: mean sampling rate above which it ends, >= slow_below_fps
            slow_step_seconds: growth of T_update per update while slowed down, > 0
            slow_max_factor: T_update grows up to so many times its base, >= 1
            slow_window: number of latest sampling rates in the mean, 1 to 1000
        Raises InvalidArgumentError that names the argument.
        """
    def __repr__(self) -> str:
        ...
    def to_dict(self) -> dict[str, typing.Any]:
        """
        All arguments by name.
        """
    @property
    def adapt_sampling_rate(self) -> bool:
        """
        equation (1); False: always initial_fps
        """
    @property
    def adapt_training_rate(self) -> bool:
        """
        appendix D; False: T_update never changes
        """
    @property
    def batch_size(self) -> int:
        """
        samples of a mini-batch, 1 to 4096
        """
    @property
    def beta1(self) -> float:
        """
        in [0, 1)
        """
    @property
    def beta2(self) -> float:
        """
        in [0, 1)
        """
    @property
    def buffer_samples(self) -> int:
        """
        a mini-batch is of no more than the newest so many samples of T_horizon; 0: as many as max_fps gives in a minute or a T_update, and 60 at least
        """
    @property
    def dead_zone(self) -> float:
        """
        of 'compact': a parameter that would move by fewer steps stays where it is; 0.5 to 4
        """
    @property
    def epsilon(self) -> float:
        """
        1e-30 to 1e6
        """
    @property
    def epsilon_placement(self) -> str:
        """
        'outside_root' (as torch.optim.Adam) or 'inside_root' (as Algorithm 2 is printed)
        """
    @property
    def fast_above_fps(self) -> float:
        """
        mean sampling rate above which it ends, >= slow_below_fps
        """
    @property
    def gamma(self) -> float | None:
        """
        fraction of the trainable coordinates, of strategies that choose one; (0, 1]; None: 0.05. Without a strategy it asks for 'gradient_guided'
        """
    @property
    def head_multiplier(self) -> float | None:
        """
        likewise, of role 'head'
        """
    @property
    def initial_fps(self) -> float:
        """
        r_0, from min_fps to max_fps
        """
    @property
    def iterations(self) -> int:
        """
        K at most, 1 to 10000
        """
    @property
    def learning_rate(self) -> float:
        """
        alpha, > 0 and at most 1e6
        """
    @property
    def learning_rates_by_size(self) -> bool:
        """
        tensors whose values are small at the beginning learn less fast (learning_rate_scales()), so that one learning rate suits most networks; False: as in the paper
        """
    @property
    def least_spacing(self) -> float:
        """
        a phase begins when new labels are there, so many T_update after the one before at the earliest, 0.001 to 1
        """
    @property
    def max_fps(self) -> float:
        """
        r_max, >= min_fps
        """
    @property
    def min_fps(self) -> float:
        """
        r_min, > 0
        """
    @property
    def min_samples(self) -> int:
        """
        the first phase waits for so many labelled samples, >= 1
        """
    @property
    def normalization_multiplier(self) -> float | None:
        """
        likewise, of role 'normalization'
        """
    @property
    def phi_target(self) -> float:
        """
        in the unit of the task's loss; the default is for HardLabelCrossEntropy
        """
    @property
    def profile(self) -> str:
        """
        'reference' (section 3.1.2: float16 values and their places) or 'compact' (differences in steps of a power of two, under a range coder that remembers)
        """
    @property
    def recency_seconds(self) -> float:
        """
        half of a mini-batch is of the newest so many seconds; 0: all of T_horizon alike
        """
    @property
    def relative_step(self) -> float:
        """
        of 'compact': a step is the power of two nearest to this times the root mean square of the differences, over the parameters of one role; 2^-20 to 2^20
        """
    @property
    def sampling_interval_seconds(self) -> float:
        """
        delta_t between decisions on the sampling rate, > 0
        """
    @property
    def slow_below_fps(self) -> float:
        """
        mean sampling rate below which slow-down begins, > 0
        """
    @property
    def slow_max_factor(self) -> float:
        """
        T_update grows up to so many times its base, >= 1
        """
    @property
    def slow_step_seconds(self) -> float:
        """
        growth of T_update per update while slowed down, > 0
        """
    @property
    def slow_window(self) -> int:
        """
        number of latest sampling rates in the mean, 1 to 1000
        """
    @property
    def start_states(self) -> int:
        """
        tried before each phase besides what the device holds: the un-customised student, and what was held when the latest scenes ended; 0 to 64
        """
    @property
    def step_exponent(self) -> int | None:
        """
        of 'compact': 2^this is every step, in place of all that; -100 to 104
        """
    @property
    def step_fps(self) -> float:
        """
        eta_r, fps for one unit of phi, > 0
        """
    @property
    def strategy(self) -> typing.Any:
        """
        what a phase trains and sends, a Strategy or one of selection_strategy_names(); None: normalisation layers and head, or the whole model where it has no such layers
        """
    @property
    def trainer_share(self) -> float:
        """
        a phase takes no more than this share of T_update, its waiting included: first K shrinks, then T_update grows; 0: both stay
        """
    @property
    def weight_multiplier(self) -> float | None:
        """
        of learning_rate, for tensors of role 'weight', (0, 1e6]; None: the strategy's of recommended_multipliers()
        """
    @property
    def weight_step_multiplier(self) -> float:
        """
        of 'compact': times as large for weights, neither normalisation nor head; likewise
        """
    @property
    def zstd_level(self) -> int:
        """
        of 'reference', 1 (fast) to 19
        """
class BudgetPolicy(UpdatePolicy):
    """
    Keeps a downlink budget: chooses what each phase trains and how fast it learns, and writes each
    update as finely as the budget allows. Given multipliers multiply recommended_multipliers().
    """
    def __init__(self, *, budget_bps: float = 2000.0, link_bps: float = 0.0, window_seconds: float = 60.0, overhead_bytes: float = 28.0, learning_rate: float = 0.002, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-08, epsilon_placement: str = 'outside_root', weight_multiplier: float = 1.0, normalization_multiplier: float = 1.0, head_multiplier: float = 1.0, learning_rates_by_size: bool = True, update_interval_seconds: float = 2.0, iterations: int = 8, batch_size: int = 8, least_spacing: float = 0.5, min_samples: int = 1, horizon_seconds: float = 240.0, buffer_samples: int = 0, recency_seconds: float = 10.0, trainer_share: float = 0.75, start_states: int = 1, adapt_sampling_rate: bool = True, min_fps: float = 0.1, max_fps: float = 1.0, initial_fps: float = 1.0, step_fps: float = 0.5, phi_target: float = 0.39, sampling_interval_seconds: float = 10.0, adapt_training_rate: bool = False, slow_below_fps: float = 0.25, fast_above_fps: float = 0.35, slow_step_seconds: float = 2.0, slow_max_factor: float = 6.0, slow_window: int = 5) -> None:
        """
            budget_bps: what the downlink may carry, the mean over a window with every byte counted; 50 to 1e9
            link_bps: what the link takes: no update is larger than this times T_update; at least the budget; 0: four times that
            window_seconds: of the mean, >= 1
            overhead_bytes: that an update costs besides its own: message, chunk, WebSocket and TLS headers; >= 0
            learning_rate: alpha, > 0 and at most 1e6
            beta1: in [0, 1)
            beta2: in [0, 1)
            epsilon: 1e-30 to 1e6
            epsilon_placement: 'outside_root' (as torch.optim.Adam) or 'inside_root' (as Algorithm 2 is printed)
            weight_multiplier: of learning_rate, for tensors of role 'weight'; (0, 1e6]
            normalization_multiplier: likewise, of role 'normalization'
            head_multiplier: likewise, of role 'head'
            learning_rates_by_size: as FixedPolicy's
            update_interval_seconds: T_update, 0.1 to 3600; the base when it is adapted
            iterations: K at most, 1 to 10000
            batch_size: samples of a mini-batch, 1 to 4096
            least_spacing: a phase begins when new labels are there, so many T_update after the one before at the earliest, 0.001 to 1
            min_samples: the first phase waits for so many labelled samples, >= 1
            horizon_seconds: T_horizon, > 0
            buffer_samples: a mini-batch is of no more than the newest so many samples of T_horizon; 0: as many as max_fps gives in a minute or a T_update, and 60 at least
            recency_seconds: half of a mini-batch is of the newest so many seconds; 0: all of T_horizon alike
            trainer_share: a phase takes no more than this share of T_update, its waiting included: first K shrinks, then T_update grows; 0: both stay
            start_states: tried before each phase besides what the device holds: the un-customised student, and what was held when the latest scenes ended; 0 to 64
            adapt_sampling_rate: equation (1); False: always initial_fps
            min_fps: r_min, > 0
            max_fps: r_max, >= min_fps
            initial_fps: r_0, from min_fps to max_fps
            step_fps: eta_r, fps for one unit of phi, > 0
            phi_target: in the unit of the task's loss; the default is for HardLabelCrossEntropy
            sampling_interval_seconds: delta_t between decisions on the sampling rate, > 0
            adapt_training_rate: appendix D; False: T_update never changes
            slow_below_fps: mean sampling rate below which slow-down begins, > 0
            fast_above_fps: mean sampling rate above which it ends, >= slow_below_fps
            slow_step_seconds: growth of T_update per update while slowed down, > 0
            slow_max_factor: T_update grows up to so many times its base, >= 1
            slow_window: number of latest sampling rates in the mean, 1 to 1000
        Raises InvalidArgumentError that names the argument.
        """
    def __repr__(self) -> str:
        ...
    def to_dict(self) -> dict[str, typing.Any]:
        """
        All arguments by name.
        """
    @property
    def adapt_sampling_rate(self) -> bool:
        """
        equation (1); False: always initial_fps
        """
    @property
    def adapt_training_rate(self) -> bool:
        """
        appendix D; False: T_update never changes
        """
    @property
    def batch_size(self) -> int:
        """
        samples of a mini-batch, 1 to 4096
        """
    @property
    def beta1(self) -> float:
        """
        in [0, 1)
        """
    @property
    def beta2(self) -> float:
        """
        in [0, 1)
        """
    @property
    def budget_bps(self) -> float:
        """
        what the downlink may carry, the mean over a window with every byte counted; 50 to 1e9
        """
    @property
    def buffer_samples(self) -> int:
        """
        a mini-batch is of no more than the newest so many samples of T_horizon; 0: as many as max_fps gives in a minute or a T_update, and 60 at least
        """
    @property
    def epsilon(self) -> float:
        """
        1e-30 to 1e6
        """
    @property
    def epsilon_placement(self) -> str:
        """
        'outside_root' (as torch.optim.Adam) or 'inside_root' (as Algorithm 2 is printed)
        """
    @property
    def fast_above_fps(self) -> float:
        """
        mean sampling rate above which it ends, >= slow_below_fps
        """
    @property
    def head_multiplier(self) -> float:
        """
        likewise, of role 'head'
        """
    @property
    def initial_fps(self) -> float:
        """
        r_0, from min_fps to max_fps
        """
    @property
    def iterations(self) -> int:
        """
        K at most, 1 to 10000
        """
    @property
    def learning_rate(self) -> float:
        """
        alpha, > 0 and at most 1e6
        """
    @property
    def learning_rates_by_size(self) -> bool:
        """
        as FixedPolicy's
        """
    @property
    def least_spacing(self) -> float:
        """
        a phase begins when new labels are there, so many T_update after the one before at the earliest, 0.001 to 1
        """
    @property
    def link_bps(self) -> float:
        """
        what the link takes: no update is larger than this times T_update; at least the budget; 0: four times that
        """
    @property
    def max_fps(self) -> float:
        """
        r_max, >= min_fps
        """
    @property
    def min_fps(self) -> float:
        """
        r_min, > 0
        """
    @property
    def min_samples(self) -> int:
        """
        the first phase waits for so many labelled samples, >= 1
        """
    @property
    def normalization_multiplier(self) -> float:
        """
        likewise, of role 'normalization'
        """
    @property
    def overhead_bytes(self) -> float:
        """
        that an update costs besides its own: message, chunk, WebSocket and TLS headers; >= 0
        """
    @property
    def phi_target(self) -> float:
        """
        in the unit of the task's loss; the default is for HardLabelCrossEntropy
        """
    @property
    def recency_seconds(self) -> float:
        """
        half of a mini-batch is of the newest so many seconds; 0: all of T_horizon alike
        """
    @property
    def sampling_interval_seconds(self) -> float:
        """
        delta_t between decisions on the sampling rate, > 0
        """
    @property
    def slow_below_fps(self) -> float:
        """
        mean sampling rate below which slow-down begins, > 0
        """
    @property
    def slow_max_factor(self) -> float:
        """
        T_update grows up to so many times its base, >= 1
        """
    @property
    def slow_step_seconds(self) -> float:
        """
        growth of T_update per update while slowed down, > 0
        """
    @property
    def slow_window(self) -> int:
        """
        number of latest sampling rates in the mean, 1 to 1000
        """
    @property
    def start_states(self) -> int:
        """
        tried before each phase besides what the device holds: the un-customised student, and what was held when the latest scenes ended; 0 to 64
        """
    @property
    def step_fps(self) -> float:
        """
        eta_r, fps for one unit of phi, > 0
        """
    @property
    def trainer_share(self) -> float:
        """
        a phase takes no more than this share of T_update, its waiting included: first K shrinks, then T_update grows; 0: both stay
        """
    @property
    def weight_multiplier(self) -> float:
        """
        of learning_rate, for tensors of role 'weight'; (0, 1e6]
        """
    @property
    def window_seconds(self) -> float:
        """
        of the mean, >= 1
        """
class SendToDevice:
    """
    Send to the device, in order, after whatever was sent before.
    """
    def __repr__(self) -> str:
        ...
    @property
    def message(self) -> Welcome | Control | Update | Snapshot | Fault | Bye | SnapshotPart:
        """
        Welcome, Control, Update, Snapshot, Fault or Bye.
        """
class LabelBatch:
    """
    Decode and label these frames, then call on_labelled() or on_label_failed(); in any order.
    """
    def __repr__(self) -> str:
        ...
    @property
    def batch_id(self) -> int:
        """
        For the answer.
        """
    @property
    def bitstream(self) -> bytes:
        """
        H.264 Annex B: hostile until decoded.
        """
    @property
    def capture_seconds(self) -> list[float]:
        """
        One per frame, strictly ascending.
        """
class TrainingDue:
    """
    Get the session a turn on the trainer, then call begin_phase(). A device that says goodbye meanwhile
    withdraws it: ask training_due when the turn has come.
    """
    def __repr__(self) -> str:
        ...
class DisconnectDevice:
    """
    Send what is queued, then close the connection and call on_disconnect().
    """
    def __repr__(self) -> str:
        ...
    @property
    def reason(self) -> str:
        """
        For logs.
        """
class SessionCounters:
    """
    What a session has done so far.
    """
    def __repr__(self) -> str:
        ...
    def to_dict(self) -> dict[str, typing.Any]:
        """
        All arguments by name.
        """
    @property
    def acks(self) -> int:
        """
        That named a version that was sent.
        """
    @property
    def acks_wrong(self) -> int:
        """
        That named another.
        """
    @property
    def batch_bytes(self) -> int:
        """
        Of bitstream.
        """
    @property
    def batches(self) -> int:
        """
        Taken.
        """
    @property
    def batches_dropped(self) -> int:
        """
        Too many were waiting for their labels.
        """
    @property
    def batches_failed(self) -> int:
        """
        Could not be decoded or labelled.
        """
    @property
    def batches_repeated(self) -> int:
        """
        Sent again by the device, ignored.
        """
    @property
    def connections(self) -> int:
        """
        Connections with a good Hello.
        """
    @property
    def faults(self) -> int:
        """
        Connections ended for a protocol violation.
        """
    @property
    def iterations(self) -> int:
        """
        Training steps of phases that ended well.
        """
    @property
    def phase_seconds(self) -> float:
        """
        Sum over phases.
        """
    @property
    def phases(self) -> int:
        """
        That gave an update.
        """
    @property
    def phases_abandoned(self) -> int:
        """
        Nobody wanted their result: the device had left, was paused or got another model.
        """
    @property
    def phases_failed(self) -> int:
        """
        That gave none.
        """
    @property
    def phases_withheld(self) -> int:
        """
        The policy's plan left no way to write their update.
        """
    @property
    def refusals(self) -> int:
        """
        By the device.
        """
    @property
    def restarts(self) -> int:
        """
        Of them, those that started from an earlier scene's state.
        """
    @property
    def restarts_initial(self) -> int:
        """
        And those that started from the un-customised student.
        """
    @property
    def resumed_in_step(self) -> int:
        """
        Of them, with nothing to send.
        """
    @property
    def resumed_with_snapshot(self) -> int:
        """
        With a snapshot.
        """
    @property
    def resumed_with_updates(self) -> int:
        """
        With the missing updates.
        """
    @property
    def samples(self) -> int:
        """
        Labelled and in the replay buffer.
        """
    @property
    def samples_dropped(self) -> int:
        """
        Too old or too large for it.
        """
    @property
    def score_held(self) -> float:
        """
        Running score of what the device holds, on labels that it was not trained on, [0, 1].
        """
    @property
    def score_initial(self) -> float:
        """
        And of the un-customised student on the same labels.
        """
    @property
    def snapshot_bytes(self) -> int:
        """
        Of snapshots.
        """
    @property
    def snapshots(self) -> int:
        """
        Sent.
        """
    @property
    def trials(self) -> int:
        """
        Phases that tried other states to start from.
        """
    @property
    def update_bytes(self) -> int:
        """
        Of updates.
        """
    @property
    def update_coordinates(self) -> int:
        """
        Values in them.
        """
    @property
    def updates(self) -> int:
        """
        Encoded; each counted once.
        """
    @property
    def updates_sent_again(self) -> int:
        """
        After a reconnection.
        """
class SessionRecord:
    """
    What a store keeps of a session: what the device holds, and what training needs to go on from it.
    """
    @property
    def adam(self) -> AdamState:
        """
        Adam's memory: a copy.
        """
    @property
    def counters(self) -> SessionCounters:
        """
        SessionCounters.
        """
    @property
    def device_id(self) -> str:
        """
        Of the device.
        """
    @property
    def held(self) -> ModelState:
        """
        What the device holds, or will: a copy.
        """
    @property
    def is_paused(self) -> bool:
        """
        Whether an operator has paused it.
        """
    @property
    def last_batch_id(self) -> int:
        """
        Newest batch; 0: none.
        """
class ServerSession:
    """
    Algorithm 1 for one device, as a state machine without I/O, clock or threads: events go in, actions
    (SendToDevice, LabelBatch, TrainingDue, DisconnectDevice) come out, to be carried out in order.
    docs/sessions.md describes both ends.
    
    It owns what the device holds, the replay buffer and Adam's memory, and lives on while the device is
    away. The policy decides what a phase trains, when, and how its update is written; the task what a
    sample is. Every event takes now_seconds, the driver's clock, finite. Whatever a device sends, no
    event raises; what the driver may not do raises InvalidArgumentError and changes nothing. What task
    and policy raise as ams.Error costs at most the phase; any other exception comes out of the event.
    Not thread-safe.
    """
    @staticmethod
    def from_record(record: SessionRecord, initial: ModelState, task: Task, policy: UpdatePolicy, options: SessionOptions = ...) -> ServerSession:
        """
        Goes on from what record() gave, with the w_0 of that session; otherwise as __init__.
        """
    def __init__(self, initial: ModelState, task: Task, policy: UpdatePolicy, options: SessionOptions = ...) -> None:
        """
        initial: w_0. task: a Task. policy: an UpdatePolicy, for this session alone. Raises
        InvalidArgumentError when the policy does not fit the model.
        """
    def begin_phase(self, now_seconds: typing.SupportsFloat | typing.SupportsIndex) -> TrainingJob:
        """
        The TrainingJob that TrainingDue announced, with the newest samples. Raises InvalidArgumentError
        unless training_due.
        """
    def on_disconnect(self, now_seconds: typing.SupportsFloat | typing.SupportsIndex) -> list[SendToDevice | LabelBatch | TrainingDue | DisconnectDevice]:
        """
        The connection is gone, whoever ended it. Also before a newer connection's Hello.
        """
    def on_label_failed(self, batch_id: typing.SupportsInt | typing.SupportsIndex, now_seconds: typing.SupportsFloat | typing.SupportsIndex) -> list[SendToDevice | LabelBatch | TrainingDue | DisconnectDevice]:
        """
        The batch is lost.
        """
    def on_labelled(self, batch_id: typing.SupportsInt | typing.SupportsIndex, samples: collections.abc.Iterable[typing.Any], now_seconds: typing.SupportsFloat | typing.SupportsIndex) -> list[SendToDevice | LabelBatch | TrainingDue | DisconnectDevice]:
        """
        The answer to LabelBatch. samples: (capture_seconds, sample) each, with capture times of that batch,
        strictly ascending; frames without a label may be left out.
        """
    def on_message(self, message: Hello | FrameBatch | Ack | Refusal | Bye, now_seconds: typing.SupportsFloat | typing.SupportsIndex) -> list[SendToDevice | LabelBatch | TrainingDue | DisconnectDevice]:
        """
        A message of the device has come.
        """
    def on_phase_done(self, result: TrainingResult, now_seconds: typing.SupportsFloat | typing.SupportsIndex) -> list[SendToDevice | LabelBatch | TrainingDue | DisconnectDevice]:
        """
        Encodes the update, moves held and sends it. A result that is not finite counts as a failed phase.
        Runs without the GIL: no other thread may use this session meanwhile, not even its properties.
        Raises InvalidArgumentError when no phase is out or sizes are wrong.
        """
    def on_phase_failed(self, reason: str, now_seconds: typing.SupportsFloat | typing.SupportsIndex) -> list[SendToDevice | LabelBatch | TrainingDue | DisconnectDevice]:
        """
        Nothing is lost but the phase; the next one comes after T_update, while the device is away only when new samples come.
        """
    def on_time(self, now_seconds: typing.SupportsFloat | typing.SupportsIndex) -> list[SendToDevice | LabelBatch | TrainingDue | DisconnectDevice]:
        """
        next_wake_seconds has come.
        """
    def record(self) -> SessionRecord:
        """
        The SessionRecord of this moment, for a store.
        """
    @property
    def buffered_samples(self) -> int:
        """
        In the replay buffer.
        """
    @property
    def confirmed(self) -> ModelVersion:
        """
        The ModelVersion that the device last said that it holds.
        """
    @property
    def connected(self) -> bool:
        """
        Between a good Hello and the connection's end.
        """
    @property
    def counters(self) -> SessionCounters:
        """
        SessionCounters, as they are now.
        """
    @property
    def device_id(self) -> str:
        """
        Empty before the first good Hello.
        """
    @property
    def held(self) -> ModelState:
        """
        What the device holds, or will: a copy. See held_version.
        """
    @property
    def held_version(self) -> ModelVersion:
        """
        Of held.
        """
    @property
    def last_error(self) -> str:
        """
        Why the latest phase, batch or connection failed, or what the device refused.
        """
    @property
    def next_wake_seconds(self) -> float | None:
        """
        When on_time() is wanted next; None while the session waits for other events.
        """
    @property
    def pending_batches(self) -> int:
        """
        Being labelled.
        """
    @property
    def phase_running(self) -> bool:
        """
        begin_phase() came, the result is still to come.
        """
    @property
    def sampling_rate_fps(self) -> float:
        """
        What the device is told to sample at.
        """
    @property
    def training_due(self) -> bool:
        """
        TrainingDue came, begin_phase() is still to come.
        """
    @property
    def update_interval_seconds(self) -> float:
        """
        T_update.
        """
class ConnectToServer:
    """
    Open a connection, then call on_connected(), or on_disconnected() when that fails.
    """
    def __repr__(self) -> str:
        ...
class SendToServer:
    """
    Send on the open connection, in order.
    """
    def __repr__(self) -> str:
        ...
    @property
    def message(self) -> Hello | FrameBatch | Ack | Refusal | Bye:
        """
        Hello, FrameBatch, Ack, Refusal or Bye.
        """
class EncodeBuffer:
    """
    Compress these frames together (section 3.2), then call on_encoded() or on_encode_failed().
    """
    def __repr__(self) -> str:
        ...
    @property
    def batch_id(self) -> int:
        """
        For the answer.
        """
    @property
    def capture_seconds(self) -> list[float]:
        """
        One per frame, strictly ascending.
        """
    @property
    def frames(self) -> list[typing.Any]:
        """
        The objects given to on_frame(), at least one.
        """
    @property
    def period_seconds(self) -> float:
        """
        How much video they stand for: times the bitrate it is the bits to spend.
        """
class Publish:
    """
    held has a new value: load its values into the inactive copy of the model and swap, then call
    on_published(version).
    """
    def __repr__(self) -> str:
        ...
    @property
    def version(self) -> ModelVersion:
        """
        ModelVersion.
        """
class Persist:
    """
    held has a new value: save encode_snapshot(held) where a restarted device finds it.
    """
    def __repr__(self) -> str:
        ...
    @property
    def version(self) -> ModelVersion:
        """
        ModelVersion.
        """
class DisconnectServer:
    """
    Send what is queued, then close the connection, or give up opening one, and call
    on_disconnected().
    """
    def __repr__(self) -> str:
        ...
    @property
    def reason(self) -> str:
        """
        For logs.
        """
class ClientCounters:
    """
    What a client has done so far.
    """
    def __repr__(self) -> str:
        ...
    def to_dict(self) -> dict[str, typing.Any]:
        """
        All arguments by name.
        """
    @property
    def batch_bytes(self) -> int:
        """
        Of bitstream.
        """
    @property
    def batches(self) -> int:
        """
        Sent, each counted once.
        """
    @property
    def batches_failed(self) -> int:
        """
        Could not be encoded.
        """
    @property
    def batches_refused(self) -> int:
        """
        Given up, because the server faults what was sent.
        """
    @property
    def batches_sent_again(self) -> int:
        """
        After a reconnection.
        """
    @property
    def connections(self) -> int:
        """
        That got a Welcome.
        """
    @property
    def disconnections(self) -> int:
        """
        Failed attempts included.
        """
    @property
    def frames(self) -> int:
        """
        Seen.
        """
    @property
    def frames_dropped(self) -> int:
        """
        Sampled, but the buffer was full.
        """
    @property
    def frames_invalid(self) -> int:
        """
        Their capture time was not in [0, 1e11] s.
        """
    @property
    def frames_sampled(self) -> int:
        """
        Of them, sampled.
        """
    @property
    def refusals(self) -> int:
        """
        Updates and snapshots refused.
        """
    @property
    def scene_changes(self) -> int:
        """
        That were acted on.
        """
    @property
    def snapshot_bytes(self) -> int:
        """
        Of snapshots.
        """
    @property
    def snapshots(self) -> int:
        """
        Taken over.
        """
    @property
    def update_bytes(self) -> int:
        """
        Of updates.
        """
    @property
    def updates(self) -> int:
        """
        Applied.
        """
class EdgeClient:
    """
    The device's half of AMS, as a state machine without I/O, clock or threads: events go in, actions
    (ConnectToServer, SendToServer, EncodeBuffer, Publish, Persist, DisconnectServer) come out, to be
    carried out in order. docs/sessions.md describes both ends.
    
    It holds the device's model state, samples frames at the server's rate, sends them every T_update,
    applies updates as transactions, and comes back after every loss of connection. Frames are any
    objects. Every event takes now_seconds, the driver's clock, finite. Whatever a server sends, no
    event raises; what the driver may not do raises InvalidArgumentError and changes nothing. Not
    thread-safe.
    """
    def __init__(self, initial: ModelState, options: ClientOptions) -> None:
        """
        initial: w_0, or the state that Persist saved; the driver's model has these values loaded already.
        """
    def on_connected(self, now_seconds: typing.SupportsFloat | typing.SupportsIndex) -> list[ConnectToServer | SendToServer | EncodeBuffer | Publish | Persist | DisconnectServer]:
        """
        The answer to ConnectToServer.
        """
    def on_disconnected(self, reason: str, now_seconds: typing.SupportsFloat | typing.SupportsIndex) -> list[ConnectToServer | SendToServer | EncodeBuffer | Publish | Persist | DisconnectServer]:
        """
        The connection is gone or could not be opened.
        """
    def on_encode_failed(self, batch_id: typing.SupportsInt | typing.SupportsIndex, now_seconds: typing.SupportsFloat | typing.SupportsIndex) -> list[ConnectToServer | SendToServer | EncodeBuffer | Publish | Persist | DisconnectServer]:
        """
        The batch is lost.
        """
    def on_encoded(self, batch_id: typing.SupportsInt | typing.SupportsIndex, bitstream: bytes | bytearray | memoryview | numpy.ndarray, now_seconds: typing.SupportsFloat | typing.SupportsIndex) -> list[ConnectToServer | SendToServer | EncodeBuffer | Publish | Persist | DisconnectServer]:
        """
        The answer to EncodeBuffer: bytes.
        """
    def on_frame(self, capture_seconds: typing.SupportsFloat | typing.SupportsIndex, frame: typing.Any, now_seconds: typing.SupportsFloat | typing.SupportsIndex) -> list[ConnectToServer | SendToServer | EncodeBuffer | Publish | Persist | DisconnectServer]:
        """
        A frame of the video, on its own timeline; the handle is kept only if it is sampled.
        """
    def on_message(self, message: Welcome | Control | Update | Snapshot | Fault | Bye | SnapshotPart, now_seconds: typing.SupportsFloat | typing.SupportsIndex) -> list[ConnectToServer | SendToServer | EncodeBuffer | Publish | Persist | DisconnectServer]:
        """
        A message of the server has come. An update or snapshot moves held as a whole or not at all. Runs
        without the GIL: no other thread may use this client meanwhile, not even its properties.
        """
    def on_published(self, version: ModelVersion, now_seconds: typing.SupportsFloat | typing.SupportsIndex) -> list[ConnectToServer | SendToServer | EncodeBuffer | Publish | Persist | DisconnectServer]:
        """
        The driver now runs this version.
        """
    def on_scene_change(self, now_seconds: typing.SupportsFloat | typing.SupportsIndex) -> list[ConnectToServer | SendToServer | EncodeBuffer | Publish | Persist | DisconnectServer]:
        """
        The video shows something new, as the driver's own student tells. The next frame is sampled and
        leaves at once, and for ClientOptions.scene_change_seconds frames are sampled more often.
        """
    def on_start(self, now_seconds: typing.SupportsFloat | typing.SupportsIndex) -> list[ConnectToServer | SendToServer | EncodeBuffer | Publish | Persist | DisconnectServer]:
        """
        The driver begins.
        """
    def on_stop(self, reason: str, now_seconds: typing.SupportsFloat | typing.SupportsIndex) -> list[ConnectToServer | SendToServer | EncodeBuffer | Publish | Persist | DisconnectServer]:
        """
        Says Bye and stays away until on_start().
        """
    def on_time(self, now_seconds: typing.SupportsFloat | typing.SupportsIndex) -> list[ConnectToServer | SendToServer | EncodeBuffer | Publish | Persist | DisconnectServer]:
        """
        next_wake_seconds has come.
        """
    def wants_frame(self, capture_seconds: typing.SupportsFloat | typing.SupportsIndex) -> bool:
        """
        Would on_frame() sample a frame of this time?
        """
    @property
    def buffered_frames(self) -> int:
        """
        Sampled, not yet encoded.
        """
    @property
    def counters(self) -> ClientCounters:
        """
        ClientCounters, as they are now.
        """
    @property
    def held(self) -> ModelState:
        """
        The device's model state: a copy. See held_version.
        """
    @property
    def held_version(self) -> ModelVersion:
        """
        Of held.
        """
    @property
    def last_error(self) -> str:
        """
        Latest reason of a disconnection, fault, refusal or failed encoding.
        """
    @property
    def next_wake_seconds(self) -> float | None:
        """
        When on_time() is wanted next; None while the client waits for other events.
        """
    @property
    def sampling_rate_fps(self) -> float:
        """
        As the server set it.
        """
    @property
    def stopped(self) -> bool:
        """
        Before on_start(), and when all is over after on_stop().
        """
    @property
    def streaming(self) -> bool:
        """
        Between Welcome and the connection's end.
        """
    @property
    def update_interval_seconds(self) -> float:
        """
        T_update.
        """
class TurnScheduler:
    """
    Fair turns on the trainer among sessions: round robin (section 4.3, figure 6). Sessions are any
    objects that compare with ==. Not thread-safe.
    """
    def __init__(self, slots: typing.SupportsInt | typing.SupportsIndex = 1) -> None:
        """
        slots: turns that may be out at once (the number of trainers), >= 1.
        """
    def finish(self, session: typing.Any) -> None:
        """
        Takes the turn back.
        """
    def grant(self) -> typing.Any:
        """
        The session whose turn it is, when a slot is free and somebody waits, else None.
        """
    def remove(self, session: typing.Any) -> None:
        """
        Forgets a session that is gone.
        """
    def request(self, session: typing.Any) -> None:
        """
        Puts the session at the back of the queue. No effect when it waits already.
        """
    @property
    def running(self) -> int:
        """
        Turns that are out.
        """
    @property
    def waiting(self) -> int:
        """
        Sessions in the queue.
        """
class WorkCost:
    """
    What a piece of work took.
    """
    @property
    def batch_size(self) -> int:
        """
        Of training.
        """
    @property
    def frames(self) -> int:
        """
        Decoded, labelled or encoded.
        """
    @property
    def iterations(self) -> int:
        """
        Of training.
        """
    @property
    def measured_seconds(self) -> float:
        """
        Wall time of the long part.
        """
class Work:
    """
    A piece of a host's work: a long part, then what follows from it.
    """
    def finish(self) -> None:
        """
        What follows from it.
        """
    def run(self) -> WorkCost | None:
        """
        The long part. None: it was not wanted any more, and finish() is not called.
        """
    @property
    def kind(self) -> str:
        """
        'label', 'train' and 'show' on a server, 'sample', 'encode', 'publish' and 'save' on a device.
        """
    @property
    def session(self) -> str:
        """
        Whose: pieces of one kind and one session run one after another, in order.
        """
class SessionView:
    """
    A session of a ServerHost, to look at.
    """
    @property
    def buffered_samples(self) -> int:
        """
        In the replay buffer.
        """
    @property
    def confirmed(self) -> ModelVersion:
        """
        The ModelVersion that the device last said that it holds.
        """
    @property
    def connected(self) -> bool:
        """
        Between a good Hello and the connection's end.
        """
    @property
    def counters(self) -> SessionCounters:
        """
        SessionCounters, as they are now.
        """
    @property
    def device_id(self) -> str:
        """
        Empty before the first good Hello.
        """
    @property
    def held(self) -> ModelState:
        """
        What the device holds, or will: a copy. See held_version.
        """
    @property
    def held_version(self) -> ModelVersion:
        """
        Of held.
        """
    @property
    def last_error(self) -> str:
        """
        Why the latest phase, batch or connection failed, or what the device refused.
        """
    @property
    def next_wake_seconds(self) -> float | None:
        """
        When on_time() is wanted next; None while the session waits for other events.
        """
    @property
    def pending_batches(self) -> int:
        """
        Being labelled.
        """
    @property
    def phase_running(self) -> bool:
        """
        begin_phase() came, the result is still to come.
        """
    @property
    def sampling_rate_fps(self) -> float:
        """
        What the device is told to sample at.
        """
    @property
    def training_due(self) -> bool:
        """
        TrainingDue came, begin_phase() is still to come.
        """
    @property
    def update_interval_seconds(self) -> float:
        """
        T_update.
        """
class ServerHost:
    """
    A server for any number of devices: connects their sessions to a transport, a teacher, a trainer and
    a store, and performs the sessions' actions. Its parts are any objects with the methods of
    ams.parts.
    
    - A session lives on while its device is away. A device that comes to a full host takes the place of
      the one that has been away longest.
    - Labelling and training are Work for the executor.
    - A part that raises an ams.Error costs a batch, a phase or a connection, and a line in the log. Any
      other exception comes out of the call that led to it.
    
    Use it with an executor in virtual time, in one thread.
    """
    def __init__(self, *, initial: ModelState, task: Task, make_policy: collections.abc.Callable[[], UpdatePolicy], teacher: typing.Any, trainer: typing.Any, codec: typing.Any, executor: typing.Any, transport: typing.Any, store: typing.Any = None, log: typing.Any = None, session: SessionOptions = ..., max_devices: typing.SupportsInt | typing.SupportsIndex = 64, student_fingerprint: typing.SupportsInt | typing.SupportsIndex = 0) -> None:
        """
        initial: w_0, the same for every device. make_policy: gives a new UpdatePolicy for each session, and
        one at once, to see that it fits the model. store: None: sessions live as long as the host. session:
        SessionOptions of every session; session_id counts on from it. max_devices: sessions kept.
        student_fingerprint: a device that says another one, not 0, is refused. Raises
        InvalidArgumentError.
        """
    def metrics(self) -> str:
        """
        Prometheus text about the sessions, at most about a second old.
        """
    def on_connected(self, connection: typing.SupportsInt | typing.SupportsIndex, peer: str = '') -> None:
        """
        A device has connected. connection: a number that is never used twice.
        """
    def on_disconnected(self, connection: typing.SupportsInt | typing.SupportsIndex, reason: str = '') -> None:
        """
        Once for each on_connected().
        """
    def on_message(self, connection: typing.SupportsInt | typing.SupportsIndex, message: Hello | FrameBatch | Ack | Refusal | Bye) -> None:
        """
        A message of it has come; the first one is Hello.
        """
    def on_time(self) -> None:
        """
        next_wake_seconds has come.
        """
    def session(self, device_id: str) -> SessionView | None:
        """
        The SessionView of a device; None before its first good Hello.
        """
    def stop(self) -> None:
        """
        No new phase and no new batch begins.
        """
    @property
    def next_wake_seconds(self) -> float | None:
        """
        When on_time() is wanted next; None while all sessions wait for other events.
        """
class ModelJournal:
    """
    A device's model on its disk, for a restart: a snapshot in a file, and the updates since then in a
    file beside it, with ".journal" at its end. An update costs its own bytes; once the journal has as
    many as the snapshot, a new snapshot takes the place of both. DeviceHost takes it as `save`. A kill
    at any moment costs at most the updates of the save under way. Not thread-safe.
    """
    def __init__(self, path: os.PathLike[str] | str | bytes, manifest: Manifest, *, student_fingerprint: typing.SupportsInt | typing.SupportsIndex = 0) -> None:
        """
        Touches no file. student_fingerprint: keeps apart the students of one manifest.
        """
    def load(self) -> ModelState | None:
        """
        The ModelState that was saved last, or None. A damaged file is renamed to end in ".damaged", and
        there is None. Raises InvalidArgumentError where the file is something else, ManifestMismatchError
        where it is another student's, and IoError.
        """
    def save(self, state: ModelState, updates: collections.abc.Sequence[bytes | bytearray | memoryview | numpy.ndarray] = []) -> None:
        """
        Keeps `state`. updates: bytes of encode_update() that lead to it from what was loaded or saved
        before; without them the whole state is written. It is on the disk on return. Raises IoError; what
        was kept before stays.
        """
    @property
    def written_bytes(self) -> int:
        """
        Written by save() so far.
        """
class ClientView:
    """
    The EdgeClient of a DeviceHost, to look at.
    """
    @property
    def buffered_frames(self) -> int:
        """
        Sampled, not yet encoded.
        """
    @property
    def counters(self) -> ClientCounters:
        """
        ClientCounters, as they are now.
        """
    @property
    def held(self) -> ModelState:
        """
        The device's model state: a copy. See held_version.
        """
    @property
    def held_version(self) -> ModelVersion:
        """
        Of held.
        """
    @property
    def last_error(self) -> str:
        """
        Latest reason of a disconnection, fault, refusal or failed encoding.
        """
    @property
    def next_wake_seconds(self) -> float | None:
        """
        When on_time() is wanted next; None while the client waits for other events.
        """
    @property
    def sampling_rate_fps(self) -> float:
        """
        As the server set it.
        """
    @property
    def stopped(self) -> bool:
        """
        Before on_start(), and when all is over after on_stop().
        """
    @property
    def streaming(self) -> bool:
        """
        Between Welcome and the connection's end.
        """
    @property
    def update_interval_seconds(self) -> float:
        """
        T_update.
        """
class DeviceHost:
    """
    A device whose student a server adapts while it runs: connects an EdgeClient to a transport, a frame
    codec and the running model, and performs the client's actions. Its parts are any objects with the
    methods of ams.parts.
    
    A part that raises an ams.Error costs a frame, a batch or an update, and a line in the log. Any
    other exception comes out of the call that led to it. Use it with an executor in virtual time, in
    one thread.
    """
    def __init__(self, *, initial: ModelState, active: typing.Any, inactive: typing.Any = None, codec: typing.Any, executor: typing.Any, transport: typing.Any, options: ClientOptions = ..., save: ModelJournal | collections.abc.Callable[[ModelState], None] | None = None, on_prediction: collections.abc.Callable[[typing.Any, typing.Any, ModelVersion], None] | None = None, task: typing.Any = None, log: typing.Any = None) -> None:
        """
        initial: w_0, or the state that `save` got last; it is loaded into both predictors. active,
        inactive: two copies of the student; None: in one thread, one object does. save: keeps the
        ModelState for a restart: a ModelJournal, or a function of it. on_prediction: gets every frame, its
        prediction and the ModelVersion that made it. task: a Task that compares predictions, so that scene
        changes are seen at once; None: none is seen. Raises InvalidArgumentError, and what the predictors
        raise.
        """
    def leave(self, reason: str = '') -> None:
        """
        Says goodbye; what the server has sent before its own Bye is still applied.
        """
    def offer(self, capture_seconds: typing.SupportsFloat | typing.SupportsIndex, frame: typing.Any) -> None:
        """
        A frame that may be sampled.
        """
    def on_connected(self) -> None:
        """
        The transport has connected.
        """
    def on_disconnected(self, reason: str = '') -> None:
        """
        Once for each connect(), whether on_connected() came or not.
        """
    def on_message(self, message: Welcome | Control | Update | Snapshot | Fault | Bye | SnapshotPart) -> None:
        """
        A message of the server has come.
        """
    def on_time(self) -> None:
        """
        next_wake_seconds has come.
        """
    def predict(self, frame: typing.Any) -> typing.Any:
        """
        With the newest model. Raises what the predictor raises.
        """
    def start(self) -> None:
        """
        Connects. No effect unless client.stopped.
        """
    @property
    def client(self) -> ClientView:
        """
        The ClientView of its EdgeClient.
        """
    @property
    def model_version(self) -> int:
        """
        Number of the version that predicts.
        """
    @property
    def next_wake_seconds(self) -> float | None:
        """
        When on_time() is wanted next; None while the client waits for other events.
        """
class Street:
    """
    A rendered drive along a street, with the class of every pixel known exactly. Labels are Cityscapes
    train ids. The same pixels on every machine; safe to use from several threads. len() is the number
    of frames.
    """
    def __init__(self, *, seed: int = 1, width: int = 512, height: int = 256, fps: float = 15.0, seconds: float = 150.0, schedule: str = 'demo') -> None:
        """
            seed: another seed is another town
            width: pixels, 32 to 2048
            height: pixels, 32 to 2048
            fps: above 0, at most 240
            seconds: length of the drive, above 0, at most 86400
            schedule: 'demo' (four scenes), 'fair' (fair weather), or e.g. '0:residential/clear,40:downtown/dusk'
        Raises InvalidArgumentError that names the argument.
        """
    def __len__(self) -> int:
        ...
    def render(self, frame_index: typing.SupportsInt | typing.SupportsIndex) -> tuple[numpy.ndarray, numpy.ndarray]:
        """
        Frame (uint8 [height, width, 3], RGB) and labels (uint8 [height, width]) of the drive; frame_index
        from 0 to len() - 1. Runs without the GIL.
        """
    def render_boxes(self, frame_index: typing.SupportsInt | typing.SupportsIndex, *, min_pixels: typing.SupportsInt | typing.SupportsIndex = 1) -> tuple[numpy.ndarray, numpy.ndarray]:
        """
        Frame (uint8 [height, width, 3], RGB) and the boxes of its people and cars, float32 [n, 6]: left,
        top, right, bottom as shares of width and height, class (street_object_names()), score 1. A box is
        the smallest rectangle around what is seen; objects with fewer seen pixels than min_pixels are left
        out. Runs without the GIL.
        """
    @property
    def fps(self) -> float:
        """
        Frames per second.
        """
    @property
    def height(self) -> int:
        """
        Pixels.
        """
    @property
    def width(self) -> int:
        """
        Pixels.
        """
def apply_update(data: bytes | bytearray | memoryview | numpy.ndarray, state: ModelState) -> UpdateInfo:
    """
    Checks the whole update, digests included, then moves `state` to the new version: all of it or
    nothing.
    
    data: any bytes-like object. Raises MalformedDataError, UnsupportedVersionError,
    ManifestMismatchError, BaseVersionMismatchError, DigestMismatchError or LimitExceededError; `state`
    is then exactly what it was. Runs without the GIL.
    """
def box_disagreement(first: numpy.ndarray, second: numpy.ndarray) -> float:
    """
    Share of two sets of boxes (float32 [n, 6]) that differs, in [0, 1]: 1 - 2 S / (n + m), where S is
    the sum of the IoUs of matched boxes. Boxes of one class are matched one to one, the pair of largest
    IoU first. The same both ways round. Two empty sets are equal.
    """
def build_info() -> dict[str, typing.Any]:
    """
    How this package was built: version, layers (torch: the version that it was built with, or None;
    video, x264, net, store), compiler, pybind11.
    """
def check_boxes(boxes: numpy.ndarray, class_count: typing.SupportsInt | typing.SupportsIndex) -> None:
    """
    Raises InvalidArgumentError, naming the box and what is allowed, unless `boxes` (float32 [n, 6]:
    left, top, right, bottom, class, score) has at most 1000 boxes, each within the picture, wider and
    higher than 0, of a class below class_count and with a score in [0, 1].
    """
def decode_centre_maps(maps: numpy.typing.ArrayLike, *, min_score: typing.SupportsFloat | typing.SupportsIndex = 0.05000000074505806, max_boxes: typing.SupportsInt | typing.SupportsIndex = 100) -> numpy.ndarray:
    """
    The boxes that an anchor-free head sees. maps: float32 [classes + 4, height, width]: for each class
    the logit that a cell has the centre of an object; then how far the centre is right of and below the
    cell's top left corner, and the natural logarithms of the box's width and height, all in cells. A
    centre is a cell whose logit is above those of its eight neighbours. Gives the max_boxes surest of
    all classes with a score of min_score or more, surest first, as float32 [n, 6], cut at the picture's
    edges. What is not finite is no object. Runs without the GIL.
    """
def decode_snapshot(data: bytes | bytearray | memoryview | numpy.ndarray, manifest: Manifest) -> ModelState:
    """
    The state that was saved, bit for bit. Raises as apply_update() does. Runs without the GIL.
    """
def draw_boxes(frame: numpy.ndarray, boxes: numpy.ndarray, names: collections.abc.Sequence[str] = [], *, min_score: typing.SupportsFloat | typing.SupportsIndex = 0.0) -> numpy.ndarray:
    """
    The frame, uint8 [H, W, 3], with an outline around each box of min_score or more, in the colour of
    its class. names: of the classes, for colours.
    """
def encode_snapshot(state: ModelState, *, zstd_level: typing.SupportsInt | typing.SupportsIndex = 1) -> bytes:
    """
    The whole state, exact, compressed: for a file, or a device whose version the server does not know.
    About 3.4 bytes a value. zstd_level: 1 (fast) to 19. Runs without the GIL.
    """
def encode_update(state: ModelState, trained: numpy.typing.ArrayLike, coordinates: CoordinateSet | numpy.typing.ArrayLike, *, profile: str = 'reference', zstd_level: int = 1, relative_step: float = 1.0, weight_step_multiplier: float = 1.0, dead_zone: float = 0.5, step_exponent: int | None = None) -> bytes:
    """
    The bytes that move a device from `state` to trained[coordinates], and `state` with it.
    
    state moves to the values that the device will decode, so that both ends stay equal. Profile
    'compact' does not send changes of less than dead_zone steps.
        trained: float32 [dimension]; values outside the coordinates are not read
        coordinates: a CoordinateSet, ascending integers [n], or a boolean mask [dimension]
        profile: 'reference' (section 3.1.2: float16 values and their places) or 'compact' (differences in steps of a power of two, under a range coder that remembers)
        zstd_level: of 'reference', 1 (fast) to 19
        relative_step: of 'compact': a step is the power of two nearest to this times the root mean square of the differences, over the parameters of one role; 2^-20 to 2^20
        weight_step_multiplier: of 'compact': times as large for weights, neither normalisation nor head; likewise
        dead_zone: of 'compact': a parameter that would move by fewer steps stays where it is; 0.5 to 4
        step_exponent: of 'compact': 2^this is every step, in place of all that; -100 to 104
    Raises InvalidArgumentError on a wrong size or option, and on a value
    that is not finite, with its tensor's name; LimitExceededError at the last version. `state` is then
    unchanged. Runs without the GIL.
    """
def first_and_last_layers(gamma: typing.SupportsFloat | typing.SupportsIndex) -> Strategy:
    """
    The Strategy of half of the fraction first and half of it last, in (0, 1].
    """
def first_layers(gamma: typing.SupportsFloat | typing.SupportsIndex) -> Strategy:
    """
    The Strategy of the fraction that comes first in the manifest, in (0, 1].
    """
def fraction_count(gamma: typing.SupportsFloat | typing.SupportsIndex, dimension: typing.SupportsInt | typing.SupportsIndex) -> int:
    """
    gamma * dimension, rounded to nearest, at least 1. Raises InvalidArgumentError unless gamma is in
    (0, 1].
    """
def full() -> Strategy:
    """
    The Strategy of all trainable coordinates, which is Adam.
    """
def gradient_guided(gamma: typing.SupportsFloat | typing.SupportsIndex) -> Strategy:
    """
    The Strategy of the fraction, in (0, 1], with the largest |u| of the phase before (Algorithm 2). In
    a unite() it takes as many of the coordinates that the others leave, and keeps those of the phase
    before.
    """
def inspect_update(data: bytes | bytearray | memoryview | numpy.ndarray) -> UpdateInfo:
    """
    Reads the header alone. Only apply_update() proves it. Raises MalformedDataError or
    UnsupportedVersionError.
    """
def label_disagreement(prediction: numpy.ndarray, truth: numpy.ndarray, classes: int | collections.abc.Sequence[int], *, ignore_id: typing.SupportsInt | typing.SupportsIndex = 255) -> float | None:
    """
    Fraction of pixels, in [0, 1], on which two label maps (uint8 [H, W]) differ; only pixels count on
    which both name one of `classes` (a number of classes, or their ids). None when there is no such
    pixel.
    """
def largest_by_magnitude(update: numpy.typing.ArrayLike, count: typing.SupportsInt | typing.SupportsIndex) -> CoordinateSet:
    """
    The `count` coordinates of largest |update|; among equals the lower index wins. update: float32
    [dimension]. Raises InvalidArgumentError unless count <= dimension.
    """
def last_layers(gamma: typing.SupportsFloat | typing.SupportsIndex) -> Strategy:
    """
    The Strategy of the fraction that comes last in the manifest, in (0, 1].
    """
def learning_rate_ranges(manifest: Manifest, *, tensor_scales: collections.abc.Sequence[float] = [], weight_multiplier: float = 1.0, normalization_multiplier: float = 1.0, head_multiplier: float = 1.0) -> list[tuple[int, int, float]]:
    """
    (begin, end, multiplier) of the coordinates begin to end - 1 whose multiplier is not 1, ascending.
        tensor_scales: another factor for each tensor, in (0, 1], as learning_rate_scales() gives them; empty: 1
        weight_multiplier: of learning_rate, for tensors of role 'weight'; (0, 1e6]
        normalization_multiplier: likewise, of role 'normalization'
        head_multiplier: likewise, of role 'head'
    Raises InvalidArgumentError.
    """
def learning_rate_scales(manifest: Manifest, values: numpy.typing.ArrayLike) -> list[float]:
    """
    Factors of the learning rate by tensor, so that one rate suits networks with weights of different
    sizes. A parameter of two or more extents with a root mean square below 0.4 learns in proportion,
    down to a sixteenth. All others have 1. Policies with learning_rates_by_size use these factors.
    
    values: float32 [dimension], of the parameters that training begins with. Raises
    InvalidArgumentError for another shape, and for values that are not finite.
    """
def make_selection_strategy(name: str, gamma: typing.SupportsFloat | typing.SupportsIndex = 0.05) -> Strategy:
    """
    The Strategy of a name of selection_strategy_names(). Raises InvalidArgumentError.
    """
def normalization() -> Strategy:
    """
    The Strategy of scale and shift of every normalisation layer.
    """
def normalization_and_head() -> Strategy:
    """
    These and the classifier.
    """
def pack_boxes(boxes: numpy.ndarray) -> bytes:
    """
    A set of boxes as bytes, 22 for each.
    """
def random_coordinates(dimension: typing.SupportsInt | typing.SupportsIndex, count: typing.SupportsInt | typing.SupportsIndex, *, seed: typing.SupportsInt | typing.SupportsIndex = 0) -> CoordinateSet:
    """
    `count` coordinates below `dimension`, uniformly without replacement, the same for a seed on every
    machine.
    """
def random_fraction(gamma: typing.SupportsFloat | typing.SupportsIndex) -> Strategy:
    """
    The Strategy of another random fraction in every phase, in (0, 1].
    """
def recommended_multipliers(*, strategy: str, gamma: typing.SupportsFloat | typing.SupportsIndex = 0.05, weight_multiplier: typing.SupportsFloat | typing.SupportsIndex | None = None, normalization_multiplier: typing.SupportsFloat | typing.SupportsIndex | None = None, head_multiplier: typing.SupportsFloat | typing.SupportsIndex | None = None) -> dict[str, typing.Any]:
    """
    Factors of a learning rate that suits the whole model, for what a strategy trains:
    
    - min(16, 1 / gamma) for a fraction alone, and for last layers beside normalisation layers
    - min(4, 1 / sqrt(gamma)) for a gradient-guided fraction beside groups
    - 5 for normalisation layers, 4 for the head, where the strategy names them
    - 1 for the rest
    
    Given multipliers override these. Roles that the strategy does not name inherit the weight
    multiplier. strategy: one of selection_strategy_names(). gamma: in (0, 1]. Gives keyword arguments
    of FixedPolicy and of the optimisers. Raises InvalidArgumentError.
    """
def resize_frame(frame: numpy.ndarray, *, width: typing.SupportsInt | typing.SupportsIndex, height: typing.SupportsInt | typing.SupportsIndex) -> numpy.ndarray:
    """
    The frame, uint8 [H, W, 3], in another size, as the predictors of the library scale it for a
    student: an area average when smaller, bilinear when larger. Raises InvalidArgumentError.
    """
def selection_strategy_names() -> list[str]:
    """
    The strategies of section 3.1.2 and table 3, e.g. 'gradient_guided', and those by group:
    'normalization', 'normalization_and_head', both also with '+gradient_guided' (a fraction of the
    other coordinates), and 'normalization+last_layers'. A group needs tensors of its role.
    """
def street_class_names() -> list[str]:
    """
    Names of the 19 Cityscapes train classes, by id.
    """
def street_eval_classes() -> list[int]:
    """
    The common classes to score: road, sidewalk, building, vegetation, sky, person, car.
    """
def street_label_ids() -> list[int]:
    """
    The ids that Street.render() can write, ascending.
    """
def street_object_names() -> list[str]:
    """
    Names of the classes of Street.render_boxes(), by id: person, car.
    """
def unite(first: Strategy, second: Strategy) -> Strategy:
    """
    The Strategy of what both choose, `first` first.
    """
def unpack_boxes(data: bytes | bytearray | memoryview | numpy.ndarray, class_count: typing.SupportsInt | typing.SupportsIndex) -> numpy.ndarray:
    """
    The set that pack_boxes() wrote. Raises MalformedDataError for what is no valid set.
    """
def update_profile_names() -> list[str]:
    """
    'reference' and 'compact'.
    """
__version__: str = '0.2.0'
protocol_version: int = 1
