"""The secret of --token or --token-file, as the programs read it."""

from __future__ import annotations

import os
from pathlib import Path

from .errors import InvalidArgumentError, IoError

_MAX_TOKEN_BYTES = 1024


def read_token(token: str, token_file: str) -> str:
    """`token`, or the first line of the file. Raises ams.InvalidArgumentError for both and for
    what is no token, ams.IoError."""
    if not token_file:
        return token
    if token:
        raise InvalidArgumentError("give --token or --token-file, not both")
    name = f"token file '{token_file}'"
    try:
        with Path(token_file).open("rb") as file:
            line = file.readline(1 << 16)
    except OSError as error:
        raise IoError(f"{name} cannot be read: {os.strerror(error.errno or 0)}") from error
    line = line.removeprefix(b"\xef\xbb\xbf").strip(b"\r\n").rstrip(b" \t\r")
    try:
        token = line.decode()
    except UnicodeDecodeError:
        token = ""
    if not token or not token.isprintable() or len(line) > _MAX_TOKEN_BYTES:
        raise InvalidArgumentError(
            f"{name}: its first line is no token: 1 to {_MAX_TOKEN_BYTES} bytes of UTF-8 without "
            "control characters are allowed"
        )
    return token
