# SPDX-License-Identifier: GPL-2.0-or-later
"""What do the other tools' configuration files say? One module for each tool, a *peer*."""

from __future__ import annotations

from collections.abc import Mapping

from ...core.errors import KdumpInitrdError
from ...core.root import Root
from ..findings import Findings
from . import kdump_tools, kdump_utils, suse_kdump
from .keys import PeerFile

#: The peers, by their names in the distributions' profiles.
PEERS: Mapping[str, tuple[PeerFile, ...]] = {
    "kdump-utils": kdump_utils.FILES,
    "suse-kdump": suse_kdump.FILES,
    "kdump-tools": kdump_tools.FILES,
}


def read(findings: Findings, *, root: Root, peer: str) -> bool:
    """Add what the files of ``peer`` in ``root`` say; return whether there are any.

    "" means no peer; raises KdumpInitrdError for an unknown one.
    """
    if peer and peer not in PEERS:
        raise KdumpInitrdError(
            f"{peer}: unknown kdump configuration", hint=f"expected one of {', '.join(PEERS)}"
        )
    before = len(findings.files)
    for file in PEERS.get(peer, ()):
        found = findings.open(file.name, root=root)
        if found is not None:
            path, content = found
            # Comments may be in any encoding; for a value that is not text there is an error later.
            text = content.decode(errors="surrogateescape")
            file.read(findings, path, text, file.keys)
    return len(findings.files) > before


def warn_of_others(findings: Findings, *, root: Root, peer: str) -> None:
    """Warn of files of other tools than ``peer``: their author may believe that they are used."""
    own = [file.name for file in PEERS.get(peer, ())]
    others = {file.name for files in PEERS.values() for file in files if file.name not in own}
    for name in sorted(others):
        path = root.file(name)
        if path is not None:
            findings.warnings.append(
                f"{path}: not read: this distribution's profile names another tool"
            )
