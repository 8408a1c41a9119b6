# SPDX-License-Identifier: GPL-2.0-or-later
# ruff: noqa: E501 - one key a line: a table
"""SUSE's kdump: /etc/sysconfig/kdump; kdump(5)."""

from __future__ import annotations

from dataclasses import replace

from ..findings import Findings, Said
from . import dumpoptions, meanings, shellfile
from .keys import Key, PeerFile

_REMOTE = "the image has no network"
_MAIL = "no mail is sent; the report.json of each dump says how it was saved"
_FADUMP = "firmware-assisted dumps are not supported"
_SHELL = "a shell is started only where no dump could be saved: failure-action shell"
_OLD = "newer releases of kdump no longer support it"
#: Format: our format and codec.
_FORMATS = {
    "none": ("none", ""),
    "ELF": ("elf", ""),
    "compressed": ("kdump", "zlib"),
    "lzo": ("kdump", "lzo"),
    "snappy": ("kdump", "snappy"),
    "zstd": ("kdump", "zstd"),
}
_TRUE, _FALSE = meanings.TRUE, meanings.FALSE


def _savedir(findings: Findings, said: Said) -> None:
    words = said.value.split()
    if len(words) > 1 and all("://" in word or word.startswith("/") for word in words):
        for word in words:
            findings.add_target(said, **{"to" if "://" in word else "path": word})
    elif "://" not in said.value:
        meanings.folder(findings, said)
    elif said.value.lower().startswith("file://"):
        meanings.folder(findings, replace(said, value=said.value[len("file://") :]))
    else:
        findings.add_target(said, to=said.value)


def _format(findings: Findings, said: Said) -> None:
    name = said.value
    if name == "raw":
        dumpoptions.plain_copy(findings, said)
    elif name in _FORMATS:
        dump_format, codec = _FORMATS[name]
        findings.take("dump_format", dump_format, said)
        if codec:
            findings.take("dump_compress", codec, said)
    else:
        findings.fail(said, f"{said.value}: expected one of raw, {', '.join(_FORMATS)}")


def _cpus(findings: Findings, said: Said) -> None:
    if said.value == "1":
        findings.take("jobs", "1", said)
    elif said.value not in ("0", "32"):
        findings.warn(said, "not used: the profile says how many processors start (nr_cpus=)")


def _reboot(findings: Findings, said: Said) -> None:
    if said.value in _TRUE:
        findings.take("final_action", "reboot", said)
    elif said.value in _FALSE:
        findings.warn(said, f"not used: {_SHELL}; final-action can be halt")
    else:
        findings.fail(said, f"{said.value}: expected true or false")


def _keep(findings: Findings, said: Said) -> None:
    if said.value.startswith("-"):
        findings.warn(said, "not used: the newest whole dump is never removed")
    else:
        findings.take("keep", said.value, said)


def _free(findings: Findings, said: Said) -> None:
    findings.take("keep_free", f"{said.value}M" if said.value != "0" else "0", said)


def _continue(findings: Findings, said: Said) -> None:
    if said.value in _FALSE:
        findings.take("failure_action", "shell", said)
    elif said.value not in _TRUE:
        findings.fail(said, f"{said.value}: expected true or false")


_KEYS = (
    Key("KDUMP_SAVEDIR", "path, for a path or a file:// URL; a target for any other URL, and for each of several", _savedir),
    Key("KDUMP_DUMPLEVEL", "dump-level", meanings.level),
    Key("KDUMP_DUMPFORMAT", "dump-format and dump-compress: ELF, compressed (zlib), lzo, snappy, zstd; raw is dump-format elf with dump-level 0; none is dump-format none: the kernel log only", _format),
    Key("MAKEDUMPFILE_OPTIONS", "dump-level, dump-compress, dump-format and jobs; a warning for other options", dumpoptions.more_options),
    Key("KDUMP_CPUS", "1 is jobs 1; 0 and 32, which kdump ships, are ignored; otherwise a warning: the profile says how many processors start", _cpus),
    Key("KDUMP_IMMEDIATE_REBOOT", "true is final-action reboot; false is a warning: a shell is started only where no dump could be saved", _reboot),
    Key("KDUMP_COMMANDLINE_APPEND", "append-cmdline, without words for systemd, udev and dracut", meanings.kernel_words("append_cmdline")),
    Key("KDUMP_COMMANDLINE", "inherit-cmdline, without words for systemd, udev and dracut", meanings.kernel_words("inherit_cmdline")),
    Key("KDUMP_KERNELVER", "capture-kernel", meanings.capture_kernel),
    Key("KDUMP_CRASHKERNEL", "crashkernel: what kdump-initrd reserve --set puts on the kernel's command line", meanings.setting("crashkernel")),
    Key("KDUMP_UPDATE_BOOTLOADER", "automatic", meanings.switch("automatic")),
    Key("KDUMP_AUTO_RESIZE", "shrink", meanings.switch("shrink")),
    Key("KDUMP_FADUMP", _FADUMP, idle=_FALSE),
    Key("KDUMP_FADUMP_SHELL", _FADUMP, idle=_FALSE),
    Key("FADUMP_COMMANDLINE_APPEND", "ignored: only firmware-assisted dumps use it", meanings.without_effect),
    Key("KEXEC_OPTIONS", "the capture kernel is loaded by kexec -s, else by kexec -c"),
    Key("KDUMP_TRANSFER", "the saver writes the dump"),
    Key("KDUMP_KEEP_OLD_DUMPS", "keep; a warning for negative numbers: the newest whole dump is never removed", _keep),
    Key("KDUMP_FREE_DISK_SIZE", "keep-free, in MiB", _free),
    Key("KDUMP_VERBOSE", "the image prints each step on the console", idle=("0",)),
    Key("KDUMP_CONTINUE_ON_ERROR", "false is failure-action shell", _continue),
    Key("KDUMP_REQUIRED_PROGRAMS", "add-program", meanings.programs),
    Key("KDUMP_PRESCRIPT", "a hook of stage pre-save", meanings.hook("pre-save")),
    Key("KDUMP_POSTSCRIPT", "a hook of stage post-save", meanings.hook("post-save")),
    Key("KDUMP_NETCONFIG", _REMOTE, idle=("auto",)),
    Key("KDUMP_NET_TIMEOUT", _REMOTE, idle=("30",)),
    Key("KDUMP_SMTP_SERVER", _MAIL),
    Key("KDUMP_SMTP_USER", _MAIL),
    Key("KDUMP_SMTP_PASSWORD", _MAIL),
    Key("KDUMP_NOTIFICATION_TO", _MAIL),
    Key("KDUMP_NOTIFICATION_CC", _MAIL),
    Key("KDUMP_HOST_KEY", _REMOTE),
    Key("KDUMP_SSH_IDENTITY", _REMOTE),
    Key("KDUMPTOOL_FLAGS", _OLD),
    Key("KDUMP_COPY_KERNEL", _OLD, idle=(*_TRUE, *_FALSE)),
)  # fmt: skip

FILES = (PeerFile("etc/sysconfig/kdump", shellfile.read, _KEYS),)
