# SPDX-License-Identifier: GPL-2.0-or-later
"""The list of the kinds of targets: a new kind is a row here."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..core.errors import KdumpInitrdError
from . import refusals
from .block import Block
from .rootfs import RootFileSystem
from .share import Share
from .target import Target

KINDS: Sequence[type[Target]] = (Block, RootFileSystem, Share)
#: "ssh" of ssh://host/folder, "virtiofs" of virtiofs:TAG; "root" is a word of its own.
_SCHEME = re.compile(r"([A-Za-z0-9][A-Za-z0-9+.-]*):|(root)$")


def kind_of(to: str) -> type[Target]:
    """Return the kind of the target ``to``; without a scheme it is a device.

    Raises KdumpInitrdError for a scheme that no kind has.
    """
    found = _SCHEME.match(to)
    scheme = (found[1] or found[2]) if found else ""
    for kind in KINDS:
        if scheme in kind.schemes:
            return kind
    *forms, last = (form for kind in KINDS for form in kind.forms)
    raise KdumpInitrdError(
        f"{to}: {refusals.target(scheme)}", hint=f"save to {', '.join(forms)} or {last}"
    )
