# SPDX-License-Identifier: GPL-2.0-or-later
"""The kinds of targets that there are: a new one is a row here."""

from __future__ import annotations

import re
from collections.abc import Sequence

from . import refusals
from .block import Block
from .refusals import DUMP
from .target import Target

KINDS: Sequence[type[Target]] = (Block,)
#: "ssh" of ssh://host/folder, "virtiofs" of virtiofs:TAG; "root" stands alone.
_SCHEME = re.compile(r"([a-z0-9][a-z0-9+.-]*):|(root)$")


def kind_of(to: str) -> type[Target]:
    """Return the kind of a target that is called so.

    Raises KdumpInitrdError for one that no kind serves. What has no known scheme is the name of a
    device.
    """
    found = _SCHEME.match(to)
    scheme = (found[1] or found[2]) if found else ""
    for kind in KINDS:
        if scheme in kind.schemes:
            return kind
    if refusals.knows(scheme):
        raise refusals.reason(scheme).error(f"{to}: ", DUMP)
    return Block
