# SPDX-License-Identifier: GPL-2.0-or-later
"""The steps that a machine goes through, and how long each may take."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum


class Phase(str, Enum):
    """What is reached, in this order; a run's expected phases leave some out."""

    ARMED = "armed"
    BOOTED = "booted"
    LOADED = "loaded"
    CRASHED = "crashed"
    CAPTURING = "capturing"
    SAVED = "saved"
    REBOOTED = "rebooted"
    #: The regular system is there once more, after a reset of the same machine.
    RESTARTED = "restarted"
    FOUND = "found"
    OFF = "off"


#: Seconds that each phase may take after the one before it, under software emulation. They are
#: those of a host that has nothing else to do (pace.py).
DEADLINES: Mapping[Phase, float] = {
    Phase.ARMED: 120,
    Phase.BOOTED: 120,
    Phase.LOADED: 60,
    Phase.CRASHED: 20,
    Phase.CAPTURING: 90,
    Phase.SAVED: 300,
    Phase.REBOOTED: 60,
    Phase.RESTARTED: 180,
    Phase.FOUND: 30,
    Phase.OFF: 60,
}
#: A kernel that is loaded by a throw-away initrd, and crashed: the machine ends with the restart.
CAPTURE = (
    Phase.BOOTED,
    Phase.LOADED,
    Phase.CRASHED,
    Phase.CAPTURING,
    Phase.SAVED,
    Phase.REBOOTED,
)
#: The complete loop of a regular system that arms itself, up to the dump found by the next boot.
LOOP = tuple(Phase)
