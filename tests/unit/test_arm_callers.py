# SPDX-License-Identifier: GPL-2.0-or-later
"""What calls the hook in an initrd of each kind: it never fails, whatever the hook does."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from kdump_initrd.core.resources import search_path
from kdump_initrd.core.root import Root
from kdump_initrd.image.render import render

from .shells import SHELLS


class Caller:
    """A script that calls the hook, which is another one here, and the shell that runs it."""

    def __init__(self, top: Path, shell: list[str]) -> None:
        self.top = top
        self.shell = shell
        self.arm = top / "arm"

    def write(self, template: str) -> Path:
        """Render the caller."""
        values = {"arm": str(self.arm), "shell": ("/bin/sh",), "previous": "echo base's own\n"}
        text = render(f"first/{template}", values,
                      search_path=search_path("templates", root=Root()), root=Root())  # fmt: skip
        path = self.top / "caller"
        path.write_text(text)
        return path

    def run(self, *words: str) -> tuple[int, str]:
        """Run the shell in the folder; return its status and what was printed."""
        done = subprocess.run(
            [*self.shell, *words], input="not for the hook", capture_output=True, text=True,
            timeout=30, check=False, cwd=self.top,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr


@pytest.fixture(params=SHELLS, ids=" ".join)
def caller(request: pytest.FixtureRequest, tmp_path: Path) -> Caller:
    return Caller(tmp_path, request.param)


#: The hook, and what it prints; it may be gone, fail, and want to read.
HOOKS = {"absent": (None, ""), "fails": ("echo hook; exit 3\n", "hook\n"),
         "reads": ("cat; echo read\n", "read\n"),
         "is broken": ("case x in\nfi\n", "Syntax error")}  # fmt: skip


@pytest.mark.parametrize(("hook", "text"), HOOKS.values(), ids=HOOKS)
def test_init_top_script_never_fails(caller: Caller, hook: str | None, text: str) -> None:
    if hook:
        caller.arm.write_text(hook)
    script = str(caller.write("initramfs-tools.j2"))
    status, printed = caller.run(script)
    assert status == 0
    assert text in printed if text else printed == ""
    assert "not for the hook" not in printed
    # What mkinitramfs asks a script for; nothing is run then.
    assert caller.run(script, "prereqs") == (0, "\n")


@pytest.mark.parametrize(("hook", "text"), HOOKS.values(), ids=HOOKS)
def test_dracut_hook_may_be_sourced(caller: Caller, hook: str | None, text: str) -> None:
    """By a shell that ends at the first failure, and wants to know its variables again."""
    if hook:
        caller.arm.write_text(hook)
    caller.write("dracut.j2")
    code = "set -eu; x=1; set -- a 'b c'; . ./caller; echo after $x $# \"$-\" >after; cat"
    status, printed = caller.run("-c", code)
    assert status == 0
    # The hook has read nothing of what is behind it.
    said = text if text.endswith("\n") else ""
    assert printed.startswith(f"{said}not for the hook")
    assert text in printed
    after = (caller.top / "after").read_text().split()
    assert after[:3] == ["after", "1", "2"]
    assert {"e", "u"} <= set(after[3])


def test_order_calls_ours_first_with_its_words(caller: Caller, tmp_path: Path) -> None:
    """initramfs-tools sources it; here with its folders elsewhere."""
    text = caller.write("initramfs-tools-order.j2").read_text()
    ours_, conf, rest = text.splitlines()
    assert ours_ == '/scripts/init-top/kdump-initrd "$@"'
    assert conf == "[ -e /conf/param.conf ] && . /conf/param.conf"
    assert rest == "echo base's own"
    script = caller.top / "script"
    script.write_text("#!/bin/sh\necho ours $# $2\n")
    script.chmod(0o755)
    (caller.top / "order").write_text(
        text.replace("/scripts/init-top/kdump-initrd", f"{script}").replace("'s", "")
    )
    assert caller.run("-c", "set -- a 'b  c'; . ./order") == (0, "ours 2 b c\nbase own\n")
