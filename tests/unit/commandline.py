# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line in this process: words that build an image, and what it says when it fails."""

from __future__ import annotations

import re

import pytest

from kdump_initrd.commands.mkinitrd import main

UUID = "UUID=4e1bd2b4-6a4d-4d5c-8f2e-3f0f4a3a9f10"
#: Words that ask for a capture initrd.
CAPTURE = ["-c", UUID, "-f", "ext4", "--hardware", "virtio"]


def complain(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    """Run main() and return its status, error line and hint line; nothing else may be said."""
    status = main(list(argv))
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = [
        line
        for line in captured.err.splitlines()
        if not re.search(r"\d\.\d\d s$|: warning: ", line)
    ]
    assert len(lines) <= 2, captured.err
    assert lines[0].startswith("kdump-initrd: error: ")
    hint = lines[1] if len(lines) > 1 else "hint: "
    assert hint.startswith("hint: ")
    return status, lines[0].removeprefix("kdump-initrd: error: "), hint.removeprefix("hint: ")
