# SPDX-License-Identifier: GPL-2.0-or-later
"""The configuration of a root: the effective settings, and the files that they come from."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core.errors import KdumpInitrdError
from ..core.root import Root
from . import native, peers
from .findings import Findings
from .settings import Setting


@dataclass(frozen=True)
class Effective:
    """What is configured, by the names of the settings' attributes; defaults are not included.

    The targets are in "targets"; values that apply to all targets are under the names in OF_TARGET.

    ``origins`` has "file:line" of each value; ``errors`` and ``warnings`` begin with one. ``files``
    are all that were read. ``source`` is where the configuration comes from: our own file's path,
    the peer, or "" if there is none. ``mended_by``: see blocking().
    """

    values: Mapping[str, Any]
    origins: Mapping[str, str]
    warnings: tuple[str, ...]
    errors: tuple[str, ...]
    files: tuple[Path, ...]
    source: str
    mended_by: Mapping[str, str] = field(default_factory=dict)

    def settings(self, rows: Sequence[Setting]) -> dict[str, Any]:
        """Return the values that belong to ``rows``."""
        return {row.name: self.values[row.name] for row in rows if row.name in self.values}

    def blocking(self, said: Collection[str]) -> tuple[str, ...]:
        """Return the errors that still matter when the settings ``said`` come from somewhere else.

        A configured target that cannot be used does not matter if another one was given.
        """
        return tuple(error for error in self.errors if self.mended_by.get(error, "") not in said)

    def check(self, said: Collection[str] = ()) -> None:
        """Raise KdumpInitrdError for the first error that ``said`` does not make irrelevant."""
        for error in self.blocking(said):
            raise KdumpInitrdError(
                error,
                hint="mkinitrd-kdump --check-config lists all errors, and the settings in effect",
            )


def read(root: Root, *, peer: str) -> Effective:
    """Return the configuration of ``root``.

    This is our own file or, if there is none, the files of ``peer`` (a name of peers.PEERS, or ""
    for none); our drop-ins are added to either. No code in them is run. Their errors are part of
    the result; only an unknown peer raises KdumpInitrdError.
    """
    findings = Findings()
    source = ""
    if native.read(findings, root=root):
        source = f"/{native.NAME}"
    elif peers.read(findings, root=root, peer=peer):
        source = peer
    else:
        peers.warn_of_others(findings, root=root, peer=peer)
    if native.read_drop_ins(findings, root=root):
        source = source or f"/{native.DROP_INS}"
    return _frozen(findings, source)


def read_peer(root: Root, *, peer: str) -> Effective:
    """Return what the files of ``peer`` alone say; raises KdumpInitrdError if it is unknown."""
    findings = Findings()
    found = peers.read(findings, root=root, peer=peer)
    return _frozen(findings, peer if found else "")


def _frozen(findings: Findings, source: str) -> Effective:
    return Effective(
        values=dict(findings.values),
        origins=dict(findings.origins),
        warnings=tuple(findings.warnings),
        errors=tuple(findings.errors),
        files=tuple(findings.files),
        source=source,
        mended_by=dict(findings.mended_by),
    )
