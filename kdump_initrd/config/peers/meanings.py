# SPDX-License-Identifier: GPL-2.0-or-later
"""What the peers' keys have in common: folders, devices, modules, kernel words, levels."""

from __future__ import annotations

import shlex

from ...core.devicename import TAGS, is_tag, translate
from ..findings import Findings, Said
from .keys import Use

#: Words for programs that the kernel starts, and that our image does not have.
TRUE, FALSE = ("yes", "1", "true"), ("no", "0", "false")
_NOT_THE_KERNELS = ("rd.", "systemd.", "udev.")


def without_effect(findings: Findings, said: Said) -> None:
    """A key that has no effect in the peer either, unless another key asks for it."""


def folder(findings: Findings, said: Said) -> None:
    """The folder for the dumps."""
    if said.value.startswith("/"):
        findings.take("path", said.value, said)
    else:
        findings.fail(said, f"{said.value}: expected a path that begins with /")


def switch(name: str) -> Use:
    """The row ``name``, which is true or false; no image is worse for another value."""

    def use(findings: Findings, said: Said) -> None:
        if said.value in TRUE + FALSE:
            findings.take(name, said.value in TRUE, said)
        else:
            findings.warn(said, f"not used: {said.value}: expected true or false")

    return use


def setting(name: str) -> Use:
    """The value of the row ``name``, as it is."""

    def use(findings: Findings, said: Said) -> None:
        findings.take(name, said.value, said)

    return use


def target(fstype: str) -> Use:
    """A file system of the type ``fstype`` on a device."""

    def use(findings: Findings, said: Said) -> None:
        take_target(findings, said, said.value, fstype)

    return use


def take_target(findings: Findings, said: Said, device: str, fstype: str) -> None:
    """Take a device and the file system on it."""
    if not is_tag(translate(device)) and not device.startswith("/dev/"):
        text = f"{device}: expected a device below /dev, or one of {', '.join(TAGS)} with ="
        findings.fail(said, text, mended_by="targets")
        return
    findings.add_target(said, to=translate(device), fstype=fstype)


def url(scheme: str) -> Use:
    """A target of another kind: HOST:/FOLDER, or anything that may follow "://" in its URL."""

    def use(findings: Findings, said: Said) -> None:
        host, colon, rest = said.value.partition(":/")
        place = f"{host}/{rest}" if colon else said.value
        findings.add_target(said, to=f"{scheme}://{place}")

    return use


def tag(scheme: str) -> Use:
    """A target that the hypervisor provides, by its name."""

    def use(findings: Findings, said: Said) -> None:
        findings.add_target(said, to=f"{scheme}:{said.value}")

    return use


def modules(name: str) -> Use:
    """A list of kernel modules for the row ``name``."""

    def use(findings: Findings, said: Said) -> None:
        add_modules(findings, said, name, said.value.split())

    return use


def add_modules(findings: Findings, said: Said, name: str, more: list[str]) -> None:
    """Add modules to those that the row ``name`` has already."""
    there = findings.values.get(name, ())
    findings.take(name, list(dict.fromkeys([*there, *more])), said)


def kernel_words(name: str) -> Use:
    """Words for the capture kernel's command line, for the row ``name``."""

    def use(findings: Findings, said: Said) -> None:
        words = [word for word in said.value.split() if not word.startswith(_NOT_THE_KERNELS)]
        if words:
            findings.take(name, " ".join(words), said)

    return use


def capture_kernel(findings: Findings, said: Said) -> None:
    """The kernel that saves a crash, whichever kernel has crashed."""
    findings.take("capture_kernel", said.value, said)


def level(findings: Findings, said: Said) -> None:
    """A dump level; of several only the first, since the saver finds a stronger one itself."""
    findings.take("dump_level", said.value.partition(",")[0], said)


def split(findings: Findings, said: Said, text: str) -> list[str] | None:
    """Split words as a shell does; if a quote is not closed, note an error and return None."""
    try:
        return shlex.split(text)
    except ValueError as error:
        findings.fail(said, f"{text}: {error}".lower())
        return None


def hook(stage: str) -> Use:
    """A program that runs in a stage of the capture."""

    def use(findings: Findings, said: Said) -> None:
        there = findings.values.get("hooks", ())
        findings.take("hooks", [*there, f"{stage}:{said.value}"], said)

    return use


def programs(findings: Findings, said: Said) -> None:
    """Programs that the image has as well."""
    there = findings.values.get("programs", ())
    findings.take("programs", list(dict.fromkeys([*there, *said.value.split()])), said)
