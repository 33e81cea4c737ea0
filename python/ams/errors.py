"""The exceptions of libams: one base class, one subclass for each kind of error.

``Error.code`` is the word that the C++ library, the wire protocol and the logs use.
"""

from __future__ import annotations

__all__ = [
    "BaseVersionMismatchError",
    "DigestMismatchError",
    "Error",
    "InvalidArgumentError",
    "IoError",
    "LimitExceededError",
    "MalformedDataError",
    "ManifestMismatchError",
    "ProtocolViolationError",
    "UnauthorizedError",
    "UnavailableError",
    "UnsupportedVersionError",
]


class Error(RuntimeError):
    """Whatever libams refuses. The message names what was wrong and what is allowed.

    It can always be printed: what a file's name has that is no text is escaped, as in "caf\\xe9".
    """

    code: str = "unknown"

    def __init__(self, *args: object) -> None:
        super().__init__(*(_printable(arg) if isinstance(arg, str) else arg for arg in args))


def _printable(text: str) -> str:
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # lone surrogates that os.fsdecode() does not make
        return text.encode("utf-8", "backslashreplace").decode("utf-8")


class InvalidArgumentError(Error, ValueError):
    """An argument is outside what the docstring allows."""

    code = "invalid_argument"


class MalformedDataError(Error):
    """Bytes from a file or the network are not what their format says."""

    code = "malformed_data"


class UnsupportedVersionError(Error):
    """The format or protocol version is not one that this build reads."""

    code = "unsupported_version"


class ManifestMismatchError(Error):
    """The data belongs to a model with other tensors."""

    code = "manifest_mismatch"


class BaseVersionMismatchError(Error):
    """The update does not follow the version that is held."""

    code = "base_version_mismatch"


class DigestMismatchError(Error):
    """The content does not have the digest that it names."""

    code = "digest_mismatch"


class LimitExceededError(Error):
    """A size or count is over its limit."""

    code = "limit_exceeded"


class IoError(Error, OSError):
    """The operating system refused to read or write."""

    code = "io_error"


class UnavailableError(Error):
    """This build or machine lacks what was asked for."""

    code = "unavailable"


class UnauthorizedError(Error):
    """The token is missing or wrong."""

    code = "unauthorized"


class ProtocolViolationError(Error):
    """A message came that the protocol does not allow at this point."""

    code = "protocol_violation"


# The extension modules find the class of an error code here.
_BY_CODE = {cls.code: cls for cls in Error.__subclasses__()}
