"""The paper's evaluation in virtual time.

A simulator drives ams.ServerHost and ams.DeviceHost, the objects that the programs run, with a
virtual clock (clock), a link of given bandwidth, delay and outages (link), and modelled or measured
times of work (costs). The five schemes of section 4.1 are in schemes; run() runs one on a stream of
clips, adapt() runs AMS on any module.
"""

from ams.sim.adapt import Adapted, adapt
from ams.sim.codec import Codec, PassThrough, X264Codec
from ams.sim.costs import Costs
from ams.sim.link import Link
from ams.sim.result import RunResult
from ams.sim.run import run
from ams.sim.schemes import (
    AMS,
    JustInTime,
    NoCustomization,
    OneTime,
    RemoteTracking,
    Scheme,
    paper_settings,
)
from ams.sim.setting import Setting
from ams.sim.stream import Stream
from ams.sim.teacher import Teacher

__all__ = [
    "AMS",
    "Adapted",
    "Codec",
    "Costs",
    "JustInTime",
    "Link",
    "NoCustomization",
    "OneTime",
    "PassThrough",
    "RemoteTracking",
    "RunResult",
    "Scheme",
    "Setting",
    "Stream",
    "Teacher",
    "X264Codec",
    "adapt",
    "paper_settings",
    "run",
]
