# SPDX-License-Identifier: GPL-2.0-or-later
# ruff: noqa: E501 - one key a line: a table
"""kdump-utils (kexec-tools before): /etc/kdump.conf and /etc/sysconfig/kdump; kdump.conf(5)."""

from __future__ import annotations

from collections.abc import Iterator

from ..findings import Findings, Said
from . import dumpoptions, linefile, meanings, shellfile
from .keys import Key, PeerFile

_REMOTE = "the image has no network"
_GONE = "newer releases of kdump-utils refuse it, too"
_LOGS = "--quiet, --verbose and --debug choose how much is printed"


def _final_action(findings: Findings, said: Said) -> None:
    findings.take("final_action", said.value, said)


def _failure_action(findings: Findings, said: Said) -> None:
    if said.value == "dump_to_rootfs":
        if "targets" not in findings.values:
            findings.add_target(said)
        findings.add_target(said, to="root")
    else:
        findings.take("failure_action", said.value, said)


def _net(findings: Findings, said: Said) -> None:
    scheme = "ssh" if "@" in said.value else "nfs"
    meanings.url(scheme)(findings, said)


def _dracut_args(findings: Findings, said: Said) -> None:
    """The options of dracut that have a meaning here: a mounted target, and drivers."""
    words = meanings.split(findings, said, said.value)
    unknown = []
    for option, value in _options(words or []):
        if option == "--mount":
            fields = value.split()
            if len(fields) < 3:
                findings.fail(said, f"--mount {value}: expected a device, a folder and a type")
            else:
                meanings.take_target(findings, said, fields[0], fields[2])
        elif option in ("--add-drivers", "--force-drivers"):
            meanings.add_modules(findings, said, "add_modules", value.split())
        elif option == "--omit-drivers":
            meanings.add_modules(findings, said, "omit_modules", value.split())
        else:
            unknown.append(f"{option} {value}".rstrip())
    if unknown:
        findings.warn(said, f"not used: {', '.join(unknown)}: the image is not made by dracut")


def _options(words: list[str]) -> Iterator[tuple[str, str]]:
    """Yield (option, value): a word without a leading dash belongs to the option before it."""
    option = ""
    values: list[str] = []
    for word in words:
        if word.startswith("-") or not option:
            if option:
                yield option, " ".join(values)
            option, _, value = word.partition("=")
            values = [value] if value else []
        else:
            values.append(word)
    if option:
        yield option, " ".join(values)


def _remove(findings: Findings, said: Said) -> None:
    findings.take("remove_cmdline", said.value, said)


_CONF = (
    *(
        Key(name, f"a target on that device, with fstype {name}", meanings.target(name))
        for name in ("ext2", "ext3", "ext4", "xfs", "btrfs", "minix")
    ),
    Key("raw", "a target that is refused: it has no file system", meanings.target("raw")),
    Key("nfs", "a target, nfs://HOST/FOLDER, that is refused", meanings.url("nfs")),
    Key("ssh", "a target, ssh://USER@HOST, that is refused", meanings.url("ssh")),
    Key("virtiofs", "a target, virtiofs:TAG", meanings.tag("virtiofs")),
    Key("net", "a target, ssh://USER@HOST or nfs://HOST/FOLDER, that is refused", _net),
    Key("dracut_args", "a target by --mount, add-module by --add-drivers and --force-drivers, omit-module by --omit-drivers; a warning for others", _dracut_args),
    Key("path", "path", meanings.folder),
    Key("core_collector", "dump-level, dump-compress, dump-format and jobs by makedumpfile's options; cp, cat and dd: dump-format elf, dump-level 0; a warning for other programs", dumpoptions.collector),
    Key("extra_modules", "add-module", meanings.modules("add_modules")),
    Key("final_action", "final-action", _final_action),
    Key("failure_action", "failure-action; dump_to_rootfs is the target root", _failure_action),
    Key("default", "as failure_action", _failure_action),
    Key("kdump_pre", "a hook of stage pre-save", meanings.hook("pre-save")),
    Key("kdump_post", "a hook of stage post-save, with 0 as its argument if there is a whole dump", meanings.hook("post-save")),
    Key("kdump_emergency", "a hook of stage emergency", meanings.hook("emergency")),
    Key("extra_bins", "add-program", meanings.programs),
    Key("sshkey", _REMOTE),
    Key("fence_kdump_args", _REMOTE),
    Key("fence_kdump_nodes", f"{_REMOTE}: the cluster is not told that the machine saves a dump"),
    Key("auto_reset_crashkernel", "automatic", meanings.switch("automatic")),
    Key("force_rebuild", "--refresh rebuilds images whose inputs changed, with --force all images", idle=("0",)),
    Key("force_no_rebuild", "--refresh rebuilds images whose inputs changed", idle=("0",)),
    Key("override_resettable", "the tool does not check whether a disk can be reset", idle=("0", "1")),
    Key("options", f"{_GONE}; KDUMP_COMMANDLINE_APPEND can have MODULE.PARAMETER=VALUE"),
    Key("link_delay", _GONE),
    Key("disk_timeout", "setup-timeout", meanings.setting("setup_timeout")),
    Key("debug_mem_level", _GONE),
    Key("blacklist", f"{_GONE}; omit-module leaves a module out"),
)  # fmt: skip

_SYSCONFIG = (
    Key("KDUMP_COMMANDLINE_APPEND", "append-cmdline, without words for systemd, udev and dracut", meanings.kernel_words("append_cmdline")),
    Key("KDUMP_COMMANDLINE_REMOVE", "remove-cmdline", _remove),
    Key("KDUMP_KERNELVER", "capture-kernel", meanings.capture_kernel),
    Key("KDUMP_COMMANDLINE", "inherit-cmdline, without words for systemd, udev and dracut", meanings.kernel_words("inherit_cmdline")),
    Key("FADUMP_COMMANDLINE_APPEND", "ignored: only firmware-assisted dumps use it", meanings.without_effect),
    Key("KEXEC_ARGS", "the capture kernel is loaded by kexec -s, else by kexec -c", idle=("-s", "--dt-no-old-root")),
    Key("KDUMP_BOOTDIR", "the profile says where kernels are", idle=("/boot",)),
    Key("KDUMP_IMG", "the profile says how kernels are named", idle=("vmlinuz",)),
    Key("KDUMP_IMG_EXT", "the profile says how kernels are named"),
    Key("VMCORE_CREATION_NOTIFICATION", "the report.json of each dump says how it was saved", idle=("yes",)),
    Key("KDUMP_STDLOGLVL", _LOGS, idle=("3",)),
    Key("KDUMP_SYSLOGLVL", _LOGS, idle=("0",)),
    Key("KDUMP_KMSGLOGLVL", _LOGS, idle=("0",)),
)  # fmt: skip

FILES = (
    PeerFile("etc/kdump.conf", linefile.read, _CONF),
    PeerFile("etc/sysconfig/kdump", shellfile.read, _SYSCONFIG),
)
