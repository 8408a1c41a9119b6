# SPDX-License-Identifier: GPL-2.0-or-later
"""What the running kernel does about its own faults, and whether it takes a capture kernel."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ...core.errors import KdumpInitrdError
from ...core.files import open_file
from ...core.root import Root
from ...probe.host import xen
from .finding import ERROR, FINE, NOTE, WARNING, Finding
from .view import View

#: sysctl: what does not crash the machine while it is 0 (Documentation/admin-guide/sysctl/kernel).
_PANICS = {
    "panic_on_oops": "an oops",
    "softlockup_panic": "a processor stuck in the kernel",
    "hardlockup_panic": "one that hears no interrupts",
    "hung_task_panic": "a process that waits for a disk for minutes",
    "unknown_nmi_panic": "an NMI button",
}
#: The bit of kernel.sysrq for the key c, and the value for all keys (include/linux/sysrq.h).
_SYSRQ_DUMP, _SYSRQ_ALL = 0x8, 1
_NOTIFIERS = "sys/module/kernel/parameters/crash_kexec_post_notifiers"
_LOCKDOWN = "sys/kernel/security/lockdown"
_SECURE_BOOT = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
_SIGNATURES = ("CONFIG_KEXEC_SIG", "CONFIG_KEXEC_VERIFY_SIG")  # the second one before 5.4
#: Where a PE file tells the place of its headers; and there, from their signature on: of the magic
#: number, and of the directory of certificates (PE format: PE32+, the fifth entry).
_PE_AT, _PE_MAGIC, _PE_PLUS, _PE_CERTIFICATES = 0x3C, 24, 0x20B, 24 + 112 + 4 * 8
_SHORT = 1 << 12
#: Where a person may set them, as a command of one has it.
_OURS = "/etc/sysctl.d/90-crash.conf"
_UNLOCK = "mokutil --disable-validation, and restart: Secure Boot is off then"


def check(seen: View) -> Iterator[Finding]:
    """Yield what there is to say of a kernel that runs this root."""
    if seen.running is None:
        return
    yield from _dom0(seen.root)
    yield from _limits(seen)
    yield from _lockdown(seen)
    if _text(seen.root, _NOTIFIERS) == "Y":
        yield Finding(
            "notifiers",
            WARNING,
            "crash_kexec_post_notifiers: other code runs before the capture kernel, and may hang",
            f"echo N >/{_NOTIFIERS}; grep -rs post_notifiers /etc /usr/lib/tmpfiles.d",
        )
    yield from _panics(seen.root)


def _dom0(root: Root) -> Iterator[Finding]:
    try:
        xen.check(root.path)
    except KdumpInitrdError as error:
        yield Finding("xen", ERROR, error.message, error.hint or "")


def _panics(root: Root) -> Iterator[Finding]:
    """Yield a note of all signs of trouble after which the machine goes on."""
    off = {name: _text(root, f"proc/sys/kernel/{name}") for name in _PANICS}
    wanted = {name: 1 for name, value in off.items() if value == "0"}
    what = [f"{_PANICS[name]} ({name})" for name in wanted]
    keys = _text(root, "proc/sys/kernel/sysrq")
    if keys.isdecimal() and int(keys) != _SYSRQ_ALL and not int(keys) & _SYSRQ_DUMP:
        wanted["sysrq"] = int(keys) | _SYSRQ_DUMP
        what.append("Alt-SysRq-c (sysrq)")
    if wanted:
        words = " ".join(f"{name}={value}" for name, value in wanted.items())
        mend = f"printf 'kernel.%s\\n' {words} >>{_OURS}; sysctl -p {_OURS}"
        text = f"no crash, so nothing is saved, after: {', '.join(what)}"
        yield Finding("sysctls", NOTE, text, mend, {"sysctls": words})


def _limits(seen: View) -> Iterator[Finding]:
    """Yield whether somebody has forbidden to load a kernel (admin-guide/sysctl/kernel)."""
    loaded = seen.running is not None and seen.running.loaded
    for name, forbidden in (("kexec_load_disabled", "1"), ("kexec_load_limit_panic", "0")):
        if _text(seen.root, f"proc/sys/kernel/{name}") != forbidden:
            continue
        text = f"kernel.{name}={forbidden}: no capture kernel can be loaded until a restart"
        if loaded:
            yield Finding("loading", NOTE, f"{text}; one is loaded", "")
        else:
            mend = f"grep -rs {name} /etc/sysctl.* /usr/lib/sysctl.d; remove it there, and restart"
            yield Finding("loading", ERROR, text, mend)


def _lockdown(seen: View) -> Iterator[Finding]:
    """Yield whether a locked kernel would take its capture kernel: only a signed one.

    A capture kernel that is loaded already has been taken (kernel_lockdown(7)).
    """
    mode = _text(seen.root, _LOCKDOWN).partition("[")[2].partition("]")[0]
    secure = _bytes(seen.root, _SECURE_BOOT)[4:5] == b"\1"
    if mode in ("", "none"):
        if secure:
            yield Finding("lockdown", FINE, "Secure Boot is on, and the kernel is not locked down")
        return
    what = f"the kernel is locked down ({mode}{', Secure Boot' if secure else ''})"
    if seen.running is not None and seen.running.loaded:
        yield Finding("lockdown", FINE, f"{what}, and has taken its capture kernel")
        return
    kernel = seen.kernel
    if kernel and kernel.config and not any(map(kernel.builds_in, _SIGNATURES)):
        text = f"{what}, and {kernel.release} cannot check signatures: it loads no capture kernel"
        yield Finding("lockdown", ERROR, text, _UNLOCK)
    elif kernel and kernel.image and not _is_signed(kernel.image):
        text = f"{what}, and {kernel.image} is not signed: it will not be loaded"
        yield Finding("lockdown", ERROR, text, f"sbverify --list {kernel.image}; {_UNLOCK}")
    else:
        text = f"{what}: only a capture kernel with a signature that it knows can be loaded"
        yield Finding("lockdown", NOTE, text, "mokutil --list-enrolled; dmesg | grep -i lockdown")


def _is_signed(image: Path) -> bool:
    """Tell whether a kernel has a certificate for EFI, which kexec_file_load checks."""
    with suppress(OSError, struct.error), open_file(image) as file:
        data = file.read(_SHORT)
        start = struct.unpack_from("<I", data, _PE_AT)[0]
        if data[start : start + 4] == b"PE\0\0":
            (magic,) = struct.unpack_from("<H", data, start + _PE_MAGIC)
            _, size = struct.unpack_from("<II", data, start + _PE_CERTIFICATES)
            return bool(magic == _PE_PLUS and size)
    return False


def _text(root: Root, name: str) -> str:
    return _bytes(root, name).decode(errors="replace").strip()


def _bytes(root: Root, name: str) -> bytes:
    with suppress(OSError):
        return root.read(name, limit=_SHORT)
    return b""
