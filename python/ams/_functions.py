"""Functions of the extension modules as functions of Python: help() then shows their signatures."""

from __future__ import annotations

import ast
import functools
import inspect
from collections.abc import Callable
from typing import Any

_SHORT = (
    ("typing.SupportsFloat | typing.SupportsIndex", "float"),
    ("typing.SupportsInt | typing.SupportsIndex", "int"),
    ("ams._core.", "ams."),
    ("ams._edge.", "ams.edge."),
    ("ams._video.", "ams.video."),
    ("ams._torch.", "ams.torch."),
)


class _Source:
    """An expression that signatures show as it is written."""

    def __init__(self, node: ast.expr) -> None:
        self.text = ast.unparse(node)
        for long, short in _SHORT:
            self.text = self.text.replace(long, short)

    def __repr__(self) -> str:
        return self.text


def present_functions(namespace: dict[str, Any], module: str) -> None:
    """Puts a function of Python in the place of every function of an extension module: in a
    module's `namespace`, and among the static methods of its classes."""
    for name, value in list(namespace.items()):
        if inspect.isbuiltin(value):
            namespace[name] = _presented(value, module, name)
        elif inspect.isclass(value) and value.__module__.startswith("ams._"):
            for method, kept in list(vars(value).items()):
                if isinstance(kept, staticmethod) and inspect.isbuiltin(kept.__func__):
                    qualified = f"{value.__qualname__}.{method}"
                    function = _presented(kept.__func__, value.__module__, qualified)
                    setattr(value, method, staticmethod(function))


def _presented(
    function: Callable[..., Any], module: str, qualified_name: str
) -> Callable[..., Any]:
    """Their docstring begins with the signature."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    call.__module__, call.__qualname__ = module, qualified_name
    line, _, rest = (function.__doc__ or "").partition("\n")
    try:
        (definition,) = ast.parse(f"def {line}: ...").body
        call.__signature__ = _signature(definition)
    except SyntaxError:  # a type that Python does not know
        return call
    call.__doc__ = rest.strip() or line
    return call


def _signature(definition: ast.FunctionDef) -> inspect.Signature:
    arguments = definition.args
    kinds = inspect.Parameter
    parameters = []

    def add(kind: Any, argument: ast.arg | None, default: ast.expr | None = None) -> None:
        if argument is None:
            return
        empty = kinds.empty
        parameters.append(
            kinds(
                argument.arg,
                kind,
                default=_Source(default) if default else empty,
                annotation=_Source(argument.annotation) if argument.annotation else empty,
            )
        )

    plain = arguments.posonlyargs + arguments.args
    defaults = [None] * (len(plain) - len(arguments.defaults)) + arguments.defaults
    for argument, default in zip(plain, defaults, strict=True):
        is_positional = argument in arguments.posonlyargs
        kind = kinds.POSITIONAL_ONLY if is_positional else kinds.POSITIONAL_OR_KEYWORD
        add(kind, argument, default)
    add(kinds.VAR_POSITIONAL, arguments.vararg)
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        add(kinds.KEYWORD_ONLY, argument, default)
    add(kinds.VAR_KEYWORD, arguments.kwarg)
    returns = _Source(definition.returns) if definition.returns else inspect.Signature.empty
    return inspect.Signature(parameters, return_annotation=returns)
