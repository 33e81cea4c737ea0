"""The command: python -m ams.inspect."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Sequence
from typing import Any

import ams

_EXAMPLES = """\
examples:
  a student bundle
    python -m ams.inspect street.bundle
  what a function in my_models.py gives, at 320 x 160 pixels, with a head of two layers
    python -m ams.inspect my_models:make_student --input 320x160 --head 'head.*' 'depth.*'
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit codes: 0 done, 1 failed, 2 wrong arguments, 130 interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m ams.inspect",
        description="Shows what of a student would be trained and sent, and what that costs: "
        "groups of tensors, bytes of an update, seconds of a step on this machine.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "student",
        help="the file of a student bundle, or MODULE:NAME of a torch.nn.Module or of a function "
        "without arguments that makes one",
    )
    parser.add_argument(
        "--input",
        type=_size,
        metavar="WIDTHxHEIGHT",
        help="size of the pictures that it sees (default: the bundle's, or 256x128)",
    )
    parser.add_argument(
        "--batch-size", type=int, default=8, help="pictures of a mini-batch (default: 8)"
    )
    parser.add_argument("--head", nargs="+", default=[], help="patterns of names of the head")
    parser.add_argument(
        "--normalization", nargs="+", default=[], help="patterns of names of normalisation layers"
    )
    parser.add_argument(
        "--strategies",
        nargs="+",
        help=f"of {', '.join(ams.selection_strategy_names())} (default: the recommended one, "
        "gradient_guided, full)",
    )
    parser.add_argument(
        "--gamma", type=float, default=0.05, help="fraction that some of them take (default: 0.05)"
    )
    parser.add_argument(
        "--steps", type=int, default=3, help="that are timed for each strategy (default: 3)"
    )
    parser.add_argument("--json", action="store_true", help="write JSON in place of a table")
    flags = parser.parse_args(arguments)
    try:
        found = ams.inspect(
            _student(flags.student),
            input_size=flags.input,
            batch_size=flags.batch_size,
            head=flags.head,
            normalization=flags.normalization,
            strategies=flags.strategies,
            gamma=flags.gamma,
            steps=flags.steps,
        )
    except KeyboardInterrupt:
        return 130
    except (ams.Error, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(json.dumps(found.as_dict(), indent=1) if flags.json else found)
    return 0


def _student(text: str) -> Any:
    module_name, colon, name = text.partition(":")
    if not colon or text.endswith(".bundle"):
        return text
    try:
        found = getattr(importlib.import_module(module_name), name)
    except AttributeError:
        raise ams.InvalidArgumentError(f"'{module_name}' has nothing called '{name}'") from None
    except ImportError as error:
        raise ams.InvalidArgumentError(f"'{text}' cannot be imported: {error}") from error
    is_module = hasattr(found, "named_parameters") and not isinstance(found, type)
    return found if is_module else found()


def _size(text: str) -> tuple[int, int]:
    """(height, width)"""
    width, cross, height = text.partition("x")
    if not (cross and width.isdecimal() and height.isdecimal()):
        raise argparse.ArgumentTypeError(f"'{text}' is not WIDTHxHEIGHT, e.g. 256x128")
    return int(height), int(width)
