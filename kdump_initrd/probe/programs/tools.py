# SPDX-License-Identifier: GPL-2.0-or-later
"""The shell and the tools that a root offers for an image: busybox, or the root's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...core.errors import KdumpInitrdError
from ...core.files import read
from ...core.root import Root
from ..distro.profilekeys import Tools
from .applets import offered


@dataclass(frozen=True)
class Toolbox:
    """Where commands come from.

    ``applets`` go to ``busybox`` by a link, ``programs`` maps a command to the root's own file.
    ``shell`` is what /bin/sh is. ``missing`` are commands that neither has.
    """

    busybox: Path | None
    shell: Path
    applets: tuple[str, ...]
    programs: tuple[tuple[str, Path], ...]
    missing: tuple[str, ...]


def find_busybox(root: Root, tools: Tools) -> Path | None:
    """Return the root's busybox, or None."""
    return root.first_file(tools.busybox)


def find(name: str, root: Root, tools: Tools) -> Path | None:
    """Return the root's program of that name, or None."""
    return root.first_file(f"{folder}/{name}" for folder in tools.path)


def pick(
    needs: tuple[str, ...],
    *,
    applets: tuple[str, ...] = (),
    own: tuple[str, ...] = (),
    root: Root,
    tools: Tools,
    busybox: Path | None,
) -> Toolbox:
    """Decide where each command of ``needs`` comes from.

    With ``busybox`` its applets come first, except for the commands in ``own``; without it
    everything is the root's own. ``applets`` are taken from busybox if it has them, and never
    from the root. Raises KdumpInitrdError if the root has no shell.
    """
    has = offered(_content(busybox), (*needs, *applets)) if busybox else frozenset()
    linked, programs, missing = [], [], []
    for name in needs:
        source = find(name, root, tools)
        if name not in own and name in has:
            linked.append(name)
        elif source is not None:
            programs.append((name, source))
        else:
            missing.append(name)
    linked += [name for name in applets if name in has]
    shell = busybox or root.first_file(tools.shell)
    if shell is None:
        raise KdumpInitrdError(
            f"{root}: no shell for the image", hint=f"looked for {', '.join(tools.shell)}"
        )
    return Toolbox(busybox, shell, tuple(linked), tuple(programs), tuple(missing))


def _content(busybox: Path) -> bytes:
    # Asking `busybox --list` would run a program of a root that may be another machine's.
    try:
        return read(busybox)
    except OSError as error:
        raise KdumpInitrdError(f"{busybox}: {error.strerror}") from error
