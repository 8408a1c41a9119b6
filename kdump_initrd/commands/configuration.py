# SPDX-License-Identifier: GPL-2.0-or-later
"""The verbs about the configuration: print the effective settings, import another tool's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..config import effective, hints, native, nativetext
from ..config.capturesettings import capture_settings
from ..config.effective import Effective
from ..config.settings import HOST
from ..config.targetsettings import OF_TARGET
from ..core import exits, publish
from ..core.errors import KdumpInitrdError, UsageError
from ..core.password import hidden
from ..core.root import Root
from ..probe.distro.profiles import Distro
from ..recipes import dumptarget
from ..recipes.found import find_host


def check(top: Path, distro: str | None) -> tuple[list[str], int]:
    """Return the configuration of ``top`` as lines, and the exit status: an error if it is wrong.

    The settings are printed as text of our own file, each with its origin, then warnings and
    errors. Raises KdumpInitrdError if there is no such root or profile.
    """
    root, profile = find_host(top, distro)
    found = effective.read(root, peer=profile.config.peer)
    values, origins = dict(found.values), dict(found.origins)
    errors = [*found.errors, *_wrong_hardware(found, profile)]
    images = values.get("images", HOST[0].default)
    lines = [f"# {_origin(found)}", ""]
    if "capture" in images and not set(found.errors) & set(found.mended_by):
        try:
            lines += _targets(found, root, profile)
        except KdumpInitrdError as error:
            hint = hints.configured(error.hint)
            errors.append(hidden(f"{error.message}; {hint}".removesuffix("; None")))
    values.setdefault("path", profile.dump.path)
    origins.setdefault("path", f"the profile {profile.id}")
    lines += nativetext.lines(values, origins, defaults=True)
    lines += [f"warning: {text}" for text in found.warnings]
    lines += [f"error: {text}" for text in errors]
    return lines, exits.ERROR if errors else exits.DONE


def import_config(top: Path, distro: str | None, output: Path | None, *, force: bool) -> list[str]:
    """Write our file from that of the distribution's own tool; return lines about it to print.

    ``output`` is /etc/kdump-initrd.toml by default; for "-" the lines are the file itself. Raises
    KdumpInitrdError if there is nothing to import, if it contains an error, and if the output
    exists, unless ``force``; UsageError for another root without an output.
    """
    root, profile = find_host(top, distro)
    if not root.is_host and output is None:
        raise UsageError(
            "--import-config: nothing is written into another root",
            hint="use -o FILE, or -o - for standard output",
        )
    found = effective.read_peer(root, peer=profile.config.peer)
    if not found.source:
        tool = profile.config.peer or f"any kdump tool of {profile.name}"
        raise KdumpInitrdError(
            f"{root}: no configuration of {tool}",
            hint="kdump-initrd.toml(5) describes what to write",
        )
    if found.errors:
        raise KdumpInitrdError(
            found.errors[0], hint="mkinitrd-kdump --check-config lists all errors"
        )
    dumptarget.check(found.values.get("targets", ()))
    text = list(_imported(found))
    if output == Path("-"):
        return text
    out = output or root.path / native.NAME
    with publish.new_file(out, force=force, mode=0o644) as new:
        new.write("".join(f"{line}\n" for line in text).encode())
    return [f"{out}: written; {_origin(found)}", *(f"warning: {each}" for each in found.warnings)]


def _targets(found: Effective, root: Root, profile: Distro) -> Iterator[str]:
    """Yield the targets as text of our file, completed with what this host knows."""
    settings = capture_settings(found.values, {})
    resolved = dumptarget.resolve(settings, root=root, profile=profile)
    for said, target in zip(settings.targets, resolved.targets):
        told = f"of the file system that holds {said.path or profile.dump.path}"
        told = "found on the device" if target.to == said.to else told
        origins = dict.fromkeys(OF_TARGET, said.origin)
        origins["to"] = said.origin if said.to else told
        origins["fstype"] = said.origin if said.fstype else told
        # What is set for all targets is printed in [capture].
        common = (each for each in OF_TARGET if found.values.get(each, "") == getattr(said, each))
        own: dict[str, Any] = {"to": target.to, "fstype": target.fstype, **dict.fromkeys(common)}
        yield from nativetext.target_lines(replace(said, **own), origins)


def _wrong_hardware(found: Effective, profile: Distro) -> Iterator[str]:
    for name in found.values.get("hardware", ()):
        known = ("host", "generic", *profile.hardware)
        if name not in known:
            place = found.origins["hardware"]
            yield f"{place}: hardware: {name}: unknown set, expected one of {', '.join(known)}"


def _origin(found: Effective) -> str:
    if not found.files:
        return "there is no configuration file: all settings have their defaults"
    return f"read: {', '.join(map(str, found.files))}"


def _imported(found: Effective) -> Iterator[str]:
    yield "# kdump-initrd.toml(5), written by mkinitrd-kdump --import-config"
    yield f"# {_origin(found)}"
    yield ""
    for target in found.values.get("targets", ()):
        origins = dict.fromkeys(("to", *OF_TARGET), target.origin)
        yield from nativetext.target_lines(target, origins)
    yield from nativetext.lines(found.values, found.origins, defaults=False)
    if found.warnings:
        yield "# What is not used here:"
        yield from (f"# {text}" for text in found.warnings)
