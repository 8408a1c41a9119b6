# SPDX-License-Identifier: GPL-2.0-or-later
"""What do the other tools' configuration files say, read as they are? One module a tool."""

from __future__ import annotations

from collections.abc import Mapping

from ...core.errors import KdumpInitrdError
from ...core.root import Root
from ..findings import Findings
from . import kdump_tools, kdump_utils, suse_kdump
from .keys import PeerFile

#: The peers by the names that profiles of distributions have for them.
PEERS: Mapping[str, tuple[PeerFile, ...]] = {
    "kdump-utils": kdump_utils.FILES,
    "suse-kdump": suse_kdump.FILES,
    "kdump-tools": kdump_tools.FILES,
}


def read(findings: Findings, *, root: Root, peer: str) -> bool:
    """Add what the files of ``peer`` in ``root`` say; tell whether there are any.

    "" is a peer without files; raises KdumpInitrdError for a name that is none.
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
            # Comments may be of any encoding; a value that is not text is an error of its own.
            text = content.decode(errors="surrogateescape")
            file.read(findings, path, text, file.keys)
    return len(findings.files) > before


def warn_of_others(findings: Findings, *, root: Root, peer: str) -> None:
    """Note the files of other tools than ``peer``: who wrote them may take them for in effect."""
    own = [file.name for file in PEERS.get(peer, ())]
    others = {file.name for files in PEERS.values() for file in files if file.name not in own}
    for name in sorted(others):
        path = root.file(name)
        if path is not None:
            findings.warnings.append(
                f"{path}: not read: this distribution's profile names another tool"
            )
