# SPDX-License-Identifier: GPL-2.0-or-later
"""SUSE's pbl (update-bootloader): the same options for GRUB, GRUB with entries, and systemd-boot.

It replaces all words of a name by one text, which may be several words (include/library of
perl-bootloader, lib_add_option); so SUSE's own kdump gives them (kdumptool commandline).
"""

from __future__ import annotations

from collections.abc import Sequence

from . import crashwords
from .bytool import ByTool

_NAME = crashwords.NAME.rstrip("=")


class Pbl(ByTool):
    """Options of the boot loader that /etc/sysconfig/bootloader names."""

    def commands(self, remove: Sequence[str], add: Sequence[str]) -> list[list[str]]:
        """See Loader; where words of other people stay, they are given once more."""
        stay = [each.word for each in self.found() if each.word not in remove]
        words = " ".join(dict.fromkeys([*stay, *add]))
        option = ["--add-option", words] if words else ["--del-option", _NAME]
        return [["update-bootloader", *option, "--config"]]
