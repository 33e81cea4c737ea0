"""The five schemes of the paper's evaluation (section 4.1), behind one interface."""

from ams.sim.schemes.ams import AMS, paper_settings
from ams.sim.schemes.just_in_time import JustInTime
from ams.sim.schemes.no_customization import NoCustomization
from ams.sim.schemes.one_time import OneTime
from ams.sim.schemes.remote_tracking import RemoteTracking
from ams.sim.schemes.scheme import Scheme

__all__ = [
    "AMS",
    "JustInTime",
    "NoCustomization",
    "OneTime",
    "RemoteTracking",
    "Scheme",
    "paper_settings",
]
