"""Files of your own networks for the programs: what `--student` and `--teacher` take.

Each function writes the file, opens it again with the loader that the programs use, and compares
what it computes with the module. It refuses what could not be trained or served, with the reason.
A file is there whole, or not at all.
"""

from __future__ import annotations

import contextlib
import copy
import io
import itertools
import logging
import os
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

import ams
from ams.torch import (
    Network,
    NetworkTeacher,
    StudentSpec,
    load_student_values,
    open_network,
)
from ams.torch.wrappers import require_values, unwrapped

__all__ = ["ExportedStudent", "ExportedTeacher", "student", "teacher"]

_log = logging.getLogger(__name__)
_compiler_lock = threading.Lock()  # held while the process's environment names a private cache


@dataclass(frozen=True)
class ExportedStudent:
    """A student's file, and what the programs must be told about it."""

    path: Path
    spec: StudentSpec
    manifest: ams.Manifest
    fingerprint: int
    method: str  # "script" or "trace"

    @property
    def flags(self) -> list[str]:
        """The flags of ams-server and ams-edge; the same for both."""
        spec = self.spec
        size = f"{spec.input_width}x{spec.input_height}"
        return ["--student", str(self.path), "--input", size, "--classes", str(spec.num_classes)]


@dataclass(frozen=True)
class ExportedTeacher:
    """A teacher's file, and what ams-server must be told about it."""

    path: Path
    num_classes: int
    input_size: tuple[int, int]  # height, width
    method: str  # "script", "trace" or "package"

    @property
    def flags(self) -> list[str]:
        """The flags of ams-server."""
        height, width = self.input_size
        classes = str(self.num_classes)
        size = f"{width}x{height}"
        return ["--teacher", str(self.path), "--teacher-input", size, "--teacher-classes", classes]


def student(
    module: torch.nn.Module,
    path: str | os.PathLike[str],
    *,
    input_size: tuple[int, int] = (128, 256),
    num_classes: int | None = None,
) -> ExportedStudent:
    """Writes the TorchScript file of a student that shall be trained while it is streamed.

    `module` maps float32 [N, 3, H, W], normalised as ImageNet is, to logits [N, classes, h, w] with
    h <= H and w <= W (they are resized), as a tensor, as the first of a tuple or list, or as "out"
    or "logits" of a dictionary or object. One output channel is the logit of class 1 of two
    classes. `path` ends in .pt. `input_size`: (H, W) in pixels, 32 to 4096 each. `num_classes`: 2
    to 254; None: as many as the module gives. The module itself is left alone. What is written is
    the module without wrappers (torch.compile, DataParallel and their like), on the CPU, in
    float32, scripted, or traced where scripting is not possible (a trace stays in eval mode for
    good, so its batch-norm statistics cannot be trained).

    Raises ams.InvalidArgumentError with the reason when the file could not be trained or would not
    compute the same, and ams.IoError when it cannot be written.
    """
    path = _check_path(path, (".pt",))
    height, width = _check_size(input_size)
    _check_num_classes(num_classes)
    own = _copy_for_export(module)
    trainable = {name: p for name, p in own.named_parameters() if p.requires_grad}
    if not trainable:
        raise ams.InvalidArgumentError(
            "the module has no trainable parameters; turn on requires_grad for those that shall be "
            "trained, and export it before torch.jit.freeze or optimize_for_inference"
        )
    wrong = [name for name, p in trainable.items() if p.dtype != torch.float32]
    if wrong:
        raise ams.InvalidArgumentError(
            f"parameter '{wrong[0]}' is {trainable[wrong[0]].dtype}; trainable parameters must be "
            "float32; freeze others with requires_grad_(False)"
        )
    inputs = torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(1))
    expected = _logits(own, inputs, "the module")
    num_classes = _check_output(expected, inputs, num_classes)
    _check_last_operation(expected, ("Sigmoid", "Softmax"))
    if not expected.isfinite().all():
        raise ams.InvalidArgumentError(
            "the module gives infinite logits for a random picture; their loss is infinite too"
        )
    gradients = _module_gradients(expected, trainable)

    def spec_of(network: Path) -> StudentSpec:
        return StudentSpec(
            network=network, num_classes=num_classes, input_width=width, input_height=height
        )

    def check(written: Path, method: str) -> None:
        values = load_student_values(spec_of(written))
        reloaded = open_network(written).eval()
        _check_same_tensors(trainable, reloaded, values, method)
        _check_same_outputs(own, reloaded, inputs, method)
        _check_same_gradients(gradients, reloaded, inputs, method)

    with _whole_file(path) as written:
        method = _save_script(own, inputs[:1], written, check)
        values = load_student_values(spec_of(written))
    spec = spec_of(path)
    _log.info("wrote %s: %d parameters to train, %s", path, values.manifest.dimension, method)
    return ExportedStudent(path, spec, values.manifest, values.fingerprint, method)


def teacher(
    module: torch.nn.Module,
    path: str | os.PathLike[str],
    *,
    input_size: tuple[int, int] = (512, 1024),
    num_classes: int | None = None,
    device: torch.device | str = "cpu",
) -> ExportedTeacher:
    """Writes the file of a teacher: TorchScript for a `path` that ends in .pt, an AOTInductor
    package, compiled for this kind of machine, for .pt2.

    `module` maps float32 [1, 3, H, W], normalised as ImageNet is, to logits [1, classes, h, w] with
    h <= H and w <= W, in the forms that student() takes. `input_size`: (H, W) in pixels, 32 to 4096
    each. `num_classes`: 2 to 254; None: as many as the module gives. `device`: where a package
    shall run. The module itself is left alone.

    Any number of processes may export at once. In one process, packages are compiled one after the
    other. Meanwhile TORCHINDUCTOR_CACHE_DIR and TRITON_CACHE_DIR name a temporary folder, so no
    other thread of the process may run torch.compile.

    Raises ams.InvalidArgumentError with the reason when it cannot be exported, or the file would
    not compute the same, and ams.IoError when it cannot be written.
    """
    path = _check_path(path, (".pt", ".pt2"))
    height, width = _check_size(input_size)
    _check_num_classes(num_classes)
    own = _copy_for_export(module)
    for parameter in own.parameters():
        parameter.requires_grad_(False)
    inputs = torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(1))
    expected = _logits(own, inputs, "the module")
    num_classes = _check_output(expected, inputs, num_classes)
    if expected.shape[1] < num_classes:
        with_gradient = inputs.clone().requires_grad_()
        _check_last_operation(_logits(own, with_gradient, "the module"), ("Sigmoid",))
    device = torch.device(device)
    packaged = path.suffix == ".pt2"
    if packaged:
        own, inputs = own.to(device), inputs.to(device)

    def check(written: Path, method: str) -> None:
        NetworkTeacher(
            written,
            num_classes=num_classes,
            input_width=width,
            input_height=height,
            device=str(device) if packaged else "cpu",
        )
        # A compiler may order sums as it likes.
        _check_same_outputs(
            own, open_network(written), inputs, method, tolerance=5e-3 if packaged else 1e-4
        )

    with _whole_file(path) as written:
        save = _save_package if packaged else _save_script
        method = save(own, inputs, written, check)
    _log.info("wrote %s: a teacher of %d classes, %s", path, num_classes, method)
    return ExportedTeacher(path, num_classes, (height, width), method)


# ---- Arguments


def _check_path(path: str | os.PathLike[str], suffixes: tuple[str, ...]) -> Path:
    path = Path(os.fsdecode(path))
    if path.suffix not in suffixes:
        raise ams.InvalidArgumentError(
            f"path is '{path}'; allowed are names that end in {' or '.join(suffixes)}"
        )
    if not path.parent.is_dir():
        raise ams.IoError(f"there is no folder '{path.parent}' to write '{path.name}' to")
    return path


def _check_size(size: tuple[int, int]) -> tuple[int, int]:
    try:
        height, width = (int(extent) for extent in size)
    except (TypeError, ValueError):
        raise ams.InvalidArgumentError(
            f"input_size is {size!r}; allowed is (height, width)"
        ) from None
    if not (32 <= height <= 4096 and 32 <= width <= 4096):
        raise ams.InvalidArgumentError(
            f"input_size is {size!r}; allowed are 32 to 4096 pixels each"
        )
    return height, width


def _check_num_classes(num_classes: int | None) -> None:
    if num_classes is not None and not 2 <= num_classes <= 254:
        raise ams.InvalidArgumentError(
            f"num_classes is {num_classes}; allowed are 2 to 254 (one output channel is the logit "
            "of class 1 of 2 classes)"
        )


def _copy_for_export(module: torch.nn.Module) -> torch.nn.Module:
    """A copy on the CPU in eval mode and float32, so that nothing here touches the caller's."""
    if isinstance(module, torch.export.ExportedProgram):
        module = module.module()
    if not isinstance(module, torch.nn.Module):
        advice = ""
        if isinstance(module, dict):
            advice = " (a state dict has values alone: load_state_dict() it into its module)"
        raise ams.InvalidArgumentError(
            f"module is a {type(module).__name__}; allowed is a torch.nn.Module{advice}"
        )
    _check_values(module)
    try:
        if isinstance(module, torch.jit.ScriptModule):
            own = _copy_of_script(module)
        else:
            own = copy.deepcopy(unwrapped(module), _copies_of_results(module))
            for part in own.modules():
                for name, child in part._modules.items():
                    part._modules[name] = None if child is None else unwrapped(child)
    except Exception as error:
        raise ams.InvalidArgumentError(f"the module cannot be copied: {error}") from error
    own = own.cpu()
    if any(p.is_floating_point() and p.dtype != torch.float32 for p in own.parameters()):
        own = own.float()
    # A program of torch.export stays in the mode that it was exported in.
    with contextlib.suppress(NotImplementedError):
        own.eval()
    return own


def _check_values(module: torch.nn.Module) -> None:
    for name, tensor in itertools.chain(module.named_parameters(), module.named_buffers()):
        require_values(name, tensor)


def _copies_of_results(module: torch.nn.Module) -> dict[int, torch.Tensor]:
    """Attributes that a hook computes anew in each forward(), as the older weight_norm does: they
    have a history, which deepcopy refuses. As its memo."""
    return {
        id(value): value.detach().clone()
        for part in module.modules()
        for value in vars(part).values()
        if isinstance(value, torch.Tensor) and not value.is_leaf
    }


def _copy_of_script(module: torch.jit.ScriptModule) -> torch.jit.ScriptModule:
    """By way of a file: deepcopy gives parameters that are no leaves of the graph."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(module, buffer)
        buffer.seek(0)
        return torch.jit.load(buffer, map_location="cpu")


def _check_output(logits: torch.Tensor, inputs: torch.Tensor, num_classes: int | None) -> int:
    height, width = inputs.shape[-2:]
    wanted = "classes" if num_classes is None else str(num_classes)
    binary = logits.dim() == 4 and logits.shape[1] == 1 and num_classes in (None, 2)
    fits = (
        logits.dim() == 4
        and logits.dtype == torch.float32
        and logits.shape[0] == inputs.shape[0]
        and 1 <= logits.shape[2] <= height
        and 1 <= logits.shape[3] <= width
        and 1 <= logits.shape[1] <= 254
        and (num_classes in (None, logits.shape[1]) or binary)
    )
    if not fits:
        raise ams.InvalidArgumentError(
            f"the module maps {list(inputs.shape)} to {logits.dtype} {list(logits.shape)}; "
            f"needed are float32 logits [{inputs.shape[0]}, {wanted}, h <= {height}, w <= {width}] "
            "of 2 to 254 classes (or one channel, the logit of class 1)"
            + ("" if logits.is_floating_point() else "; leave out argmax() at the end")
        )
    return 2 if binary else int(logits.shape[1])


def _check_last_operation(logits: torch.Tensor, refused: tuple[str, ...]) -> None:
    """By its gradient's name: the programs apply softmax or sigmoid themselves."""
    last = logits.grad_fn.name() if logits.grad_fn is not None else ""
    for name in refused:
        if last.startswith(f"{name}Backward"):
            raise ams.InvalidArgumentError(
                f"the module ends with {name.lower()} and gives probabilities; needed are logits: "
                "leave it out, in eval mode too"
            )


# ---- Computing


def _first_tensor(output: object) -> torch.Tensor | None:
    """The logits, where the programs look for them, or in an object of such a name."""
    candidates: list[object] = [output]
    if isinstance(output, dict):
        candidates = [output.get(name) for name in _LOGITS]
    elif isinstance(output, (tuple, list)):
        candidates = list(output[:1])
    elif not isinstance(output, torch.Tensor):
        candidates = [getattr(output, name, None) for name in _LOGITS]
    return next((found for found in candidates if isinstance(found, torch.Tensor)), None)


_LOGITS = ("out", "logits")


@contextlib.contextmanager
def _giving_logits(module: torch.nn.Module) -> Iterator[torch.nn.Module]:
    """The module with its logits as its one output: a trace cannot give any object."""
    hook = module.register_forward_hook(lambda _module, _inputs, output: _first_tensor(output))
    try:
        yield module
    finally:
        hook.remove()


def _logits(network: torch.nn.Module | Network, inputs: torch.Tensor, name: str) -> torch.Tensor:
    try:
        output = network(inputs)
    except Exception as error:
        raise ams.InvalidArgumentError(
            f"{name} fails on an input {list(inputs.shape)}: {_short(error)}"
        ) from error
    logits = _first_tensor(output)
    if logits is None:
        names = f" of {', '.join(map(repr, output))}" if isinstance(output, dict) else ""
        raise ams.InvalidArgumentError(
            f"{name} gives a {type(output).__name__}{names}; needed are logits as a tensor, as the "
            "first of a tuple or list, or as 'out' or 'logits' of a dictionary or object"
        )
    if logits.isnan().any():
        raise ams.InvalidArgumentError(f"{name} gives NaN for an input of finite values")
    return logits


def _short(error: Exception) -> str:
    """The telling lines of torch's long messages."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return " ".join(line.strip() for line in lines[:6])[:600] or type(error).__name__


# ---- Writing


@contextlib.contextmanager
def _whole_file(path: Path) -> Iterator[Path]:
    """A file beside `path` that takes its place when all went well, and else is gone."""
    try:
        folder = tempfile.TemporaryDirectory(prefix=f".{path.stem}-", dir=path.parent)
    except OSError as error:
        raise ams.IoError(f"cannot write to '{path.parent}': {error}") from error
    with folder:
        written = Path(folder.name) / path.name
        yield written
        try:
            os.replace(written, path)
        except OSError as error:
            raise ams.IoError(f"cannot write '{path}': {error}") from error


_Check = Callable[[Path, str], None]
"""Refuses a file that was written with the method, e.g. "trace"."""


def _script(module: torch.nn.Module, _example: torch.Tensor) -> torch.jit.ScriptModule:
    return torch.jit.script(module)


def _trace(module: torch.nn.Module, example: torch.Tensor) -> torch.jit.ScriptModule:
    with _giving_logits(module):
        return torch.jit.trace(module, (example,), strict=False, check_trace=False)


_OWN_OPERATIONS = {"aten", "prim", "prims", "quantized", "quantized_decomposed"}  # torch itself


def _check_operations(names: Iterable[str]) -> None:
    others = sorted(name for name in names if name.split("::")[0] not in _OWN_OPERATIONS)
    if others:
        raise ams.InvalidArgumentError(
            f"the module uses the operation {others[0]}, which a Python package adds to torch; the "
            "programs do not have it: write forward() with torch's own operations"
        )


def _contents(script: torch.jit.ScriptModule) -> bytes:
    """Those of its file."""
    for name, _ in script.named_modules():
        if not name.isascii():
            raise ams.InvalidArgumentError(
                f"the module '{name}' has a name that is not ASCII, which TorchScript cannot read"
            )
    contents = script.save_to_buffer()  # save() takes no path that is not UTF-8
    _check_operations(torch.jit.export_opnames(script))  # crashes for what cannot be saved
    return contents


def _save_script(
    module: torch.nn.Module, example: torch.Tensor, path: Path, check: _Check
) -> str:
    """Scripts the module, or else traces it: the first that passes `check`. Gives which."""
    methods = {"script": _script}
    if not isinstance(module, torch.jit.ScriptModule):
        methods["trace"] = _trace
    not_made: dict[str, Exception] = {}
    refused: list[ams.Error] = []
    for method, make in methods.items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch.jit's successor, which cannot be trained
                contents = _contents(make(module, example))
        except Exception as error:
            not_made[method] = error
            continue
        try:
            path.write_bytes(contents)
        except OSError as error:
            raise ams.IoError(f"cannot write '{path}': {error}") from error
        try:
            check(path, method)
        except ams.IoError:
            raise
        except ams.Error as error:
            refused.append(error)
            continue
        if method == "trace":
            reasons = [*not_made.values(), *refused]
            _log.info("traced, as a script cannot serve: %s", _short(reasons[0]))
        return method
    if refused:
        raise refused[-1]
    for error in not_made.values():
        if isinstance(error, ams.Error):
            raise error
    reasons = [f"{method}: {_short(error)}" for method, error in not_made.items()]
    raise ams.InvalidArgumentError(
        f"the module can be neither scripted nor traced by torch.jit. {'. '.join(reasons)}"
    )


_CACHE_VARIABLES = ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR")


@contextlib.contextmanager
def _same_environment_after() -> Iterator[None]:
    """Restores the variables that name the caches of torch's compiler."""
    before = {name: os.environ.get(name) for name in _CACHE_VARIABLES}
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _private_compiler_cache() -> Iterator[None]:
    """Gives torch's compiler an empty cache folder, and removes the folder at the end.

    aoti_compile_and_package zips the files of a network out of the cache folder after it has given
    up its lock on them. Another process that compiles the same network truncates and rewrites them
    under the same names. Without a folder of its own, the package of the first process can hold an
    empty or half-written file.

    Raises ams.IoError when there is no place for the folder.
    """
    with _compiler_lock, _same_environment_after(), contextlib.ExitStack() as stack:
        # Imported before the variables change: it keeps paths for good, and sets one of them.
        from torch._inductor.utils import clear_inductor_caches

        try:
            folder = stack.enter_context(
                tempfile.TemporaryDirectory(prefix="ams-export-", ignore_cleanup_errors=True)
            )
        except OSError as error:
            raise ams.IoError(f"there is no temporary folder to compile in: {error}") from error
        for name in _CACHE_VARIABLES:
            os.environ[name] = os.path.join(folder, name.lower())
        clear_inductor_caches()
        try:
            yield
        finally:
            clear_inductor_caches()  # memory must not name files of a folder that is gone


def _compiler_options() -> dict[str, object]:
    """No precompiled headers: all processes of a user share them. Older torch makes none."""
    from torch._inductor import config

    makes_them = hasattr(config.aot_inductor, "precompile_headers")
    return {"aot_inductor.precompile_headers": False} if makes_them else {}


def _save_package(
    module: torch.nn.Module, example: torch.Tensor, path: Path, check: _Check
) -> str:
    try:
        with torch.no_grad(), warnings.catch_warnings(), _private_compiler_cache():
            warnings.simplefilter("ignore")
            with _giving_logits(module):
                program = torch.export.export(module, (example,))
            _check_operations(
                f"{node.target.namespace}::{node.target._opname}"
                for node in program.graph.nodes
                if isinstance(node.target, torch._ops.OpOverload)
            )
            torch._inductor.aoti_compile_and_package(
                program, package_path=str(path), inductor_configs=_compiler_options()
            )
    except ams.Error:
        raise
    except Exception as error:
        raise ams.InvalidArgumentError(
            f"the module cannot be compiled into a package (a TorchScript file, .pt, may still be "
            f"possible): {_short(error)}"
        ) from error
    check(path, "package")
    return "package"


# ---- Checking what was written


def _refuse_file(method: str, what: str, advice: str) -> None:
    raise ams.InvalidArgumentError(
        f"the exported network ({method}) {what}; nothing was written. {advice}"
    )


def _check_same_tensors(
    trainable: dict[str, torch.nn.Parameter],
    reloaded: Network,
    values: ams.torch.StudentValues,
    method: str,
) -> None:
    """What is trained in the file is what was trainable in the module, with equal values."""
    names = [tensor.name for tensor in values.manifest.tensors]
    baked = sorted(set(trainable) - set(names))
    if baked:
        _refuse_file(
            method,
            f"does not train '{baked[0]}' and {len(baked) - 1} other parameters of the module: "
            "they are not used, or became constants",
            "Freeze them with requires_grad_(False), or register them where forward() takes them.",
        )
    for name, held in reloaded.named_parameters():
        if name in trainable and not torch.equal(held, trainable[name]):
            _refuse_file(method, f"has other values in '{name}'", "This is a fault of the module.")


def _on_pictures(network: Network, name: str) -> Callable[[torch.Tensor], torch.Tensor]:
    """The network as the programs run it: on channels-last memory, or on contiguous memory when it
    fails on that."""

    def logits(inputs: torch.Tensor) -> torch.Tensor:
        if inputs.is_cpu:
            with contextlib.suppress(ams.InvalidArgumentError):
                return _logits(network, inputs.to(memory_format=torch.channels_last), name)
        return _logits(network, inputs, name)

    return logits


def _check_same_outputs(
    module: torch.nn.Module,
    reloaded: Network,
    inputs: torch.Tensor,
    method: str,
    *,
    tolerance: float = 1e-4,
) -> None:
    """On inputs that the exporter has not seen, and in every batch size that training uses."""
    generator = torch.Generator().manual_seed(2)
    count = inputs.shape[0]
    sizes = range(1, count + 2) if count > 1 else (1,)
    pictures = ((1.0, 0.0), (0.1, -1.0), (0.1, 1.5))  # contrast and brightness
    exported = _on_pictures(reloaded, f"the exported network ({method})")
    for size, (contrast, brightness) in itertools.product(sizes, pictures):
        noise = torch.randn(size, *inputs.shape[1:], generator=generator)
        probe = (noise * contrast + brightness).to(inputs.device)
        with torch.no_grad():
            expected = _logits(module, probe, "the module")
            if not _close(_logits(module, probe, "the module"), expected, tolerance):
                raise ams.InvalidArgumentError(
                    "the module gives another output each time for the same input, in eval mode; a "
                    "network that is served must not"
                )
            found = exported(probe)
        if not _close(found, expected, tolerance):
            _refuse_file(
                method,
                f"computes something else than the module on an input {list(probe.shape)}",
                "A trace follows one example: write forward() without branches or sizes that "
                "depend on the input, or so that torch.jit.script takes it.",
            )


def _close(found: torch.Tensor, expected: torch.Tensor, tolerance: float) -> bool:
    if found.shape != expected.shape:
        return False
    finite = expected[expected.isfinite()]
    scale = float(finite.abs().max()) if finite.numel() else 0.0
    return torch.allclose(found, expected, rtol=tolerance, atol=tolerance * max(scale, 1e-3))


def _module_gradients(
    logits: torch.Tensor, trainable: dict[str, torch.nn.Parameter]
) -> dict[str, torch.Tensor | None]:
    gradients = _gradients(logits, trainable)
    if all(gradient is None for gradient in gradients.values()):
        raise ams.InvalidArgumentError(
            "no gradient of the module's output reaches its trainable parameters (is there a "
            "detach() or torch.no_grad() in forward()?)"
        )
    return gradients


def _check_same_gradients(
    own: dict[str, torch.Tensor | None], reloaded: Network, inputs: torch.Tensor, method: str
) -> None:
    """Training the file is training the module."""
    tensors = {name: tensor for name, tensor in reloaded.named_parameters() if name in own}
    found = _gradients(_logits(reloaded, inputs, f"the exported network ({method})"), tensors)
    for name, expected in own.items():
        gradient = found[name]
        same = (gradient is None) == (expected is None)
        if same and expected is not None and gradient is not None:
            same = _close(gradient, expected, 1e-2)
        if not same:
            _refuse_file(
                method,
                f"has another gradient of '{name}' than the module",
                "It probably became a constant: let forward() take it from self.",
            )


def _gradients(
    logits: torch.Tensor, tensors: dict[str, torch.Tensor]
) -> dict[str, torch.Tensor | None]:
    if not logits.requires_grad:
        return dict.fromkeys(tensors)
    weights = torch.linspace(-1, 1, logits.numel()).view_as(logits)
    gradients = torch.autograd.grad(
        (logits * weights).sum(), list(tensors.values()), allow_unused=True
    )
    return dict(zip(tensors, gradients, strict=True))
