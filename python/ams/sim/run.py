"""Runs a scheme on a stream in virtual time."""

from __future__ import annotations

from ams.sim.result import RunResult
from ams.sim.schemes.scheme import Scheme
from ams.sim.setting import Setting, select_classes
from ams.sim.stream import Stream


def run(stream: Stream, scheme: Scheme, setting: Setting) -> RunResult:
    """One scheme on one stream, scored on every labelled frame by what the device shows at that
    time.

    The student is run on the labelled frames only: nobody would see its output on the others. A
    device that looks for scene changes therefore sees them a labelled frame late. Equal arguments
    give equal results on one machine with one number of compute threads, on the CPU: torch's CUDA
    kernels for upsampling add in any order. Raises ValueError and ams.Error for arguments that do
    not fit.
    """
    return scheme.run(stream, select_classes(setting, stream))
