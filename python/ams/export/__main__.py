"""The command: python -m ams.export."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence

import ams

_EXAMPLES = """\
examples:
  the demo's student, for 256 x 128 pixels
    python -m ams.export bundle --student edanet --weights edanet.safetensors street.bundle
  a TorchScript file that ams.export.student has written
    python -m ams.export bundle --student model.pt --classes 4 --input 320x160 model.bundle

then, on a server and on devices with and without torch:
    ams-server --student street.bundle --teacher ...
    ams-edge --student street.bundle --video camera:0 ...
    python -m ams.edge --student street.bundle --video camera:0 ...

A network in Python needs no file before: ams.export.bundle(module, "x.bundle").
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit codes: 0 done, 1 failed, 2 wrong arguments, 130 interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m ams.export", description="Writes files of networks for the programs."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser(
        "bundle",
        help="write all about a student as one file",
        description="Writes a student bundle: one file with which a server trains a student and a "
        "device runs it, in libtorch, in ONNX Runtime or, with --executorch, in ExecuTorch. It is "
        "checked with every runtime that is installed.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("out", metavar="OUT.bundle", help="the file to write")
    command.add_argument(
        "--student",
        default="edanet",
        help="edanet, deeplabv3_mobilenetv2, or a TorchScript file that ends in .pt "
        "(default: edanet)",
    )
    command.add_argument(
        "--weights",
        default="",
        help="safetensors file of a named student (default: drawn from --seed)",
    )
    command.add_argument(
        "--seed", type=int, default=1, help="of values that are drawn (default: 1)"
    )
    command.add_argument(
        "--input",
        type=_size,
        default=(256, 128),
        metavar="WIDTHxHEIGHT",
        help="size of the pictures that the student sees (default: 256x128)",
    )
    command.add_argument(
        "--classes", type=int, default=19, help="outputs of the student (default: 19)"
    )
    command.add_argument(
        "--class-names", type=_names, metavar="A,B,...", help="for people, one for each class"
    )
    command.add_argument(
        "--selected-classes",
        type=_ids,
        default=[],
        metavar="ID,ID,...",
        help="train and predict these alone (default: all)",
    )
    command.add_argument(
        "--train-batch-norm",
        action="store_true",
        help="batch-norm statistics follow the video too",
    )
    command.add_argument(
        "--executorch",
        action="store_true",
        help="write the network for ExecuTorch too; needs the package executorch",
    )
    flags = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        from ams import export
        from ams.torch import StudentSpec

        spec = StudentSpec(
            network=flags.student,
            weights=flags.weights,
            seed=flags.seed,
            num_classes=flags.classes,
            input_width=flags.input[0],
            input_height=flags.input[1],
            selected_classes=flags.selected_classes,
            train_batch_norm_statistics=flags.train_batch_norm,
        )
        export.bundle(spec, flags.out, class_names=flags.class_names, executorch=flags.executorch)
    except KeyboardInterrupt:
        return 130
    except (ams.Error, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _size(text: str) -> tuple[int, int]:
    width, cross, height = text.partition("x")
    if not (cross and width.isdecimal() and height.isdecimal()):
        raise argparse.ArgumentTypeError(f"'{text}' is not WIDTHxHEIGHT, e.g. 256x128")
    return int(width), int(height)


def _names(text: str) -> list[str]:
    return text.split(",")


def _ids(text: str) -> list[int]:
    try:
        return [int(word) for word in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not ID,ID,..., e.g. 0,1,13") from None


if __name__ == "__main__":
    sys.exit(main())
