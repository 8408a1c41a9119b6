# SPDX-License-Identifier: GPL-2.0-or-later
"""Which verbs are there? Each is one file, and a row in the list of its command here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ...core import exits
from ..verb import Request, Verb
from .checkconfig import CheckConfig
from .convert import Convert
from .importconfig import ImportConfig
from .listimage import ListImage
from .printcmdline import PrintCmdline
from .refresh import Refresh
from .remove import Remove
from .showdistro import ShowDistro
from .strip import Strip

#: Command → its verbs, in the order of its help. How mkinitrd-kdump is asked for an image is what
#: its grammars are about.
VERBS: Mapping[str, Sequence[type[Verb]]] = {
    "mkinitrd-kdump": (
        *(Refresh, Remove, CheckConfig, ImportConfig, ShowDistro, ListImage, Strip, PrintCmdline),
    ),
    "vmcore-save": (Convert,),
}


def perform(requests: Iterable[Request]) -> int:
    """Do what is asked for and return the exit status; raises KdumpInitrdError."""
    return max((each.run() for each in requests), default=exits.DONE)
