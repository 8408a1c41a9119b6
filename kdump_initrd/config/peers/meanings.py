# SPDX-License-Identifier: GPL-2.0-or-later
"""What the peers' files have in common: folders, devices, modules, kernel words, actions."""

from __future__ import annotations

import shlex

from ..findings import Findings, Said
from .keys import Use

#: What mends a target that cannot be used.
_OTHER_TARGET = "name a local file system in /etc/kdump-initrd.toml, or with -c and -f"
#: The names that a device can have besides its path.
_TAGS = ("UUID", "LABEL", "PARTUUID", "PARTLABEL")
#: Words for what runs behind the kernel, and is not in an image of ours.
_NOT_THE_KERNELS = ("rd.", "systemd.", "udev.")


def without_effect(findings: Findings, said: Said) -> None:
    """What has no effect there, either, as long as another key does not ask for it."""


def folder(findings: Findings, said: Said) -> None:
    """The folder for the dumps."""
    if said.value.startswith("/"):
        findings.take("path", said.value, said)
    else:
        findings.fail(said, f"{said.value}: expected a path that begins with /")


def target(fstype: str) -> Use:
    """A file system of the type ``fstype`` on a device."""

    def use(findings: Findings, said: Said) -> None:
        take_target(findings, said, said.value, fstype)

    return use


def take_target(findings: Findings, said: Said, device: str, fstype: str) -> None:
    """Take a device and the file system on it; a second one is an error."""
    if "device" in findings.values:
        first = findings.origins["device"]
        findings.fail(said, f"a second dump target; {first} already names one", mended_by="device")
        return
    tag, equals, name = device.partition("=")
    name = name.strip('"')
    if equals and tag in _TAGS and name:
        device = f"{tag}={name}"
    elif not device.startswith("/dev/"):
        text = f"{device}: expected a device below /dev, or one of {', '.join(_TAGS)} with ="
        findings.fail(said, text, mended_by="device")
        return
    findings.take("device", device, said)
    findings.take("fstype", fstype, said)


def refused(why: str) -> Use:
    """A dump target that the tool has not; ``why`` ends the sentence "… saves to"."""

    def use(findings: Findings, said: Said) -> None:
        text = f"not a usable dump target: the image does not save to {why}; {_OTHER_TARGET}"
        findings.fail(said, text, mended_by="device")

    return use


def modules(name: str) -> Use:
    """A list of kernel modules for the row ``name``."""

    def use(findings: Findings, said: Said) -> None:
        add_modules(findings, said, name, said.value.split())

    return use


def add_modules(findings: Findings, said: Said, name: str, more: list[str]) -> None:
    """Add to what the row ``name`` has already."""
    there = findings.values.get(name, ())
    findings.take(name, list(dict.fromkeys([*there, *more])), said)


def kernel_words(findings: Findings, said: Said) -> None:
    """Words for the capture kernel's command line."""
    words = [word for word in said.value.split() if not word.startswith(_NOT_THE_KERNELS)]
    if words:
        findings.take("append_cmdline", " ".join(words), said)


def level(findings: Findings, said: Said) -> None:
    """A dump level, or several to try: the saver finds a stronger one by itself."""
    findings.take("dump_level", said.value.partition(",")[0], said)


def split(findings: Findings, said: Said, text: str) -> list[str] | None:
    """Split words as a shell does; an error, and None, where a quote does not end."""
    try:
        return shlex.split(text)
    except ValueError as error:
        findings.fail(said, f"{text}: {error}".lower())
        return None
