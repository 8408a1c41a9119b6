# SPDX-License-Identifier: GPL-2.0-or-later
"""Who can change the files that images are made from? Hooks and templates run as root."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from ..core import trust
from ..core.root import Root
from .native import DROP_INS, NAME

#: Relative to the root: what comes before the files that the package brings.
_OVERRIDES = "etc/kdump-initrd"


def warnings(root: Root) -> Iterator[str]:
    """Yield a line for each file and folder that users other than root and this one can write.

    Nothing is said about another root than the running one, whose files may belong to anybody.
    """
    if not root.is_host:
        return
    yield from writable(root)


def writable(root: Root) -> Iterator[str]:
    """Yield these lines for the overrides and the configuration of a root."""
    top, ours, drop_ins = (root.path / name for name in (_OVERRIDES, NAME, DROP_INS))
    places = [ours, drop_ins, *drop_ins.glob("*"), top, *top.rglob("*")]
    for path in sorted(places):
        with suppress(OSError):
            why = trust.doubt(path.stat())
            if why:
                yield (
                    f"{path}: {why}, and its contents run as root: "
                    f"chown root:root {path}; chmod go-w {path}"
                )
