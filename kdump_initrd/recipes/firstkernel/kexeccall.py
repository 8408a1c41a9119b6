# SPDX-License-Identifier: GPL-2.0-or-later
"""How the regular kernel loads the capture kernel, and what can be told of that beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...core.log import get_logger
from ...probe.distro.architectures import OldCall, facts

logger = get_logger(__name__)

#: What the regular kernel must have for each call of kexec (kexec_file_load(2), kexec_load(2)).
_OPTIONS = {"-s": "CONFIG_KEXEC_FILE", "-c": "CONFIG_KEXEC"}


@dataclass(frozen=True)
class Loading:
    """How it is loaded: ``calls`` are kexec's options, in the order in which they are tried.

    ``old`` is what a dump takes where the old call loads; its ``lacks`` is "" where the kexec of
    the root leaves nothing out.
    """

    calls: tuple[str, ...]
    old: OldCall

    def values(self) -> Mapping[str, object]:
        """Return what the hook's template is told."""
        names = ("symbol", "symbols_option", "lacks", "remedy")
        return {"calls": self.calls, "old": {name: getattr(self.old, name) for name in names}}

    def warn(self, release: str, config: Mapping[str, str]) -> None:
        """Warn of a regular kernel that cannot load well; an empty ``config`` tells nothing."""
        able = [call for call in self.calls if config.get(_OPTIONS[call[:2]]) == "y"]
        if not config or any(call.startswith("-s") for call in able):
            return
        symbols = self.old.symbols_option
        if not able:
            options = " and ".join(_OPTIONS[call[:2]] for call in self.calls)
            logger.warning(
                "%s: built without %s: it cannot load a capture kernel", release, options
            )
        elif symbols and config.get(symbols) != "y":
            logger.warning(
                "%s: built without %s and %s: it will not load the capture kernel, because no "
                "tool could read the dump",
                *(release, _OPTIONS["-s"], symbols),
            )
        elif self.old.lacks:
            logger.warning(
                "%s: built without %s: its dumps will lack %s; %s",
                *(release, _OPTIONS["-s"], self.old.lacks, self.old.remedy),
            )


def loading_of(machine: str, kexec: bytes) -> Loading:
    """Return how it is done on an architecture with the program ``kexec``, by what is in that."""
    found = facts().named(machine)
    return Loading(found.kexec, found.old_call.by(kexec))
