# SPDX-License-Identifier: GPL-2.0-or-later
# ruff: noqa: E501 - one key a line: a table
"""kdump-tools: /etc/default/kdump-tools; kdump-tools(5)."""

from __future__ import annotations

from ..findings import Findings, Said
from . import dumpoptions, meanings, shellfile
from .keys import Key, PeerFile

_REMOTE = "it is for dump targets on other machines"
#: The link to the running kernel, which is each kernel's own anyway.
_LINK = "/var/lib/kdump/vmlinuz"
_SHELLS = {"sh", "bash", "dash", "ash"}


def _use_kdump(findings: Findings, said: Said) -> None:
    if said.value == "0":
        findings.take("images", "", said)
    elif said.value != "1":
        findings.fail(said, f"{said.value}: expected 0 or 1")


def _kernel(findings: Findings, said: Said) -> None:
    if said.value != _LINK:
        meanings.capture_kernel(findings, said)


def _fail_cmd(findings: Findings, said: Said) -> None:
    words = [command.split() for command in said.value.split(";")]
    programs = [each[0].rpartition("/")[2] for each in words if each]
    if _SHELLS & set(programs):
        findings.take("failure_action", "shell", said)
    elif programs and programs[-1] in ("reboot", "poweroff", "halt"):
        findings.take("failure_action", programs[-1], said)
    else:
        findings.warn(said, f"not used: {said.value}: expected reboot, poweroff, halt or a shell")


_KEYS = (
    Key("USE_KDUMP", "0 empties the setting images: --refresh builds none", _use_kdump),
    Key("KDUMP_COREDIR", "path", meanings.folder),
    Key("MAKEDUMP_ARGS", "dump-level, dump-compress, dump-format and jobs; a warning for other options", dumpoptions.options),
    Key("KDUMP_CMDLINE_APPEND", "append-cmdline, without words for systemd, udev and dracut", meanings.kernel_words("append_cmdline")),
    Key("NFS", "a target, nfs://HOST/FOLDER, that is refused", meanings.url("nfs")),
    Key("FTP", "a target, ftp://HOST/FOLDER, that is refused", meanings.url("ftp")),
    Key("SSH", "a target, ssh://USER@HOST, that is refused", meanings.url("ssh")),
    Key("KDUMP_KERNEL", "capture-kernel, unless it is the link that kdump-tools makes", _kernel),
    Key("KDUMP_INITRD", "the capture initrd is this tool's own", idle=("/var/lib/kdump/initrd.img",)),
    Key("KDUMP_FAIL_CMD", "failure-action: shell if a shell is among its commands, else reboot, poweroff or halt if that is the last one; a warning for others", _fail_cmd),
    Key("KDUMP_DUMP_DMESG", "the kernel log is always saved", idle=("1",)),
    Key("KDUMP_NUM_DUMPS", "keep", meanings.setting("keep")),
    Key("KDUMP_COMPRESSION", "dump-compress compresses the dump's pages, not the file as a whole"),
    Key("KDUMP_KEXEC_ARGS", "the capture kernel is loaded by kexec -s, else by kexec -c"),
    Key("KDUMP_CMDLINE", "inherit-cmdline, without words for systemd, udev and dracut", meanings.kernel_words("inherit_cmdline")),
    Key("HOSTTAG", _REMOTE, idle=("ip",)),
    Key("NFS_TIMEO", _REMOTE, idle=("600",)),
    Key("NFS_RETRANS", _REMOTE, idle=("3",)),
    Key("NFS_MOUNT_RETRY", _REMOTE, idle=("4",)),
    Key("FTP_USER", _REMOTE),
    Key("FTP_PASSWORD", _REMOTE),
    Key("FTP_PORT", _REMOTE, idle=("21",)),
    Key("SSH_KEY", _REMOTE, idle=("/root/.ssh/kdump_id_rsa",)),
    Key("SSH_KDUMP_RETRY", _REMOTE, idle=("16",)),
)  # fmt: skip

FILES = (PeerFile("etc/default/kdump-tools", shellfile.read, _KEYS),)
