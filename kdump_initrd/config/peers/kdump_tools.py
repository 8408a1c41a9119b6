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


def _use_kdump(findings: Findings, said: Said) -> None:
    if said.value == "0":
        findings.take("images", "", said)
    elif said.value != "1":
        findings.fail(said, f"{said.value}: expected 0 or 1")


def _kernel(findings: Findings, said: Said) -> None:
    if said.value != _LINK:
        meanings.capture_kernel(findings, said)


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
    Key("KDUMP_FAIL_CMD", "the final action also follows a failure", idle=("reboot -f",)),
    Key("KDUMP_DUMP_DMESG", "the kernel log is always saved", idle=("1",)),
    Key("KDUMP_NUM_DUMPS", "no dump is ever removed", idle=("0",)),
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
