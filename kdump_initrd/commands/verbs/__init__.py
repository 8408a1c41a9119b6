# SPDX-License-Identifier: GPL-2.0-or-later
"""Which verbs are there? Each is one file, and a row in its command's list below."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ...core import exits
from ..verb import Request, Verb
from .check import Check
from .checkconfig import CheckConfig
from .convert import Convert
from .estimate import Estimate
from .importconfig import ImportConfig
from .listimage import ListImage
from .load import Load
from .luksenroll import LuksEnroll
from .luksremove import LuksRemove
from .printcmdline import PrintCmdline
from .refresh import Refresh
from .reload import Reload
from .remove import Remove
from .reserve import Reserve
from .showdistro import ShowDistro
from .status import Status
from .strip import Strip
from .unload import Unload

#: Each command's verbs, in the order of its help. How mkinitrd-kdump is asked to build an image is
#: defined by its grammars.
VERBS: Mapping[str, Sequence[type[Verb]]] = {
    "mkinitrd-kdump": (
        *(Refresh, Remove, CheckConfig, ImportConfig, ShowDistro, ListImage, Strip, PrintCmdline),
    ),
    "kdump-initrd": (
        *(Status, Check, Estimate, Reserve, Load, Reload, Unload, LuksEnroll, LuksRemove),
    ),
    "vmcore-save": (Convert,),
}


def perform(requests: Iterable[Request]) -> int:
    """Do what was asked for and return the exit status; raises KdumpInitrdError."""
    return max((each.run() for each in requests), default=exits.DONE)
