# SPDX-License-Identifier: GPL-2.0-or-later
"""Stand-ins for boot loaders' tools that this Debian does not have: NAME ROOT CALLS WORD...

Each takes exactly the words that its manual knows, does in ROOT what the tool does to a command
line, and adds its words to the file CALLS. It is a script of its own: nothing of ours is imported.
"""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

KERNELS = ("6.1.0-2", "6.1.0-1")
_SOURCE = """\
for file; do . "$file"; done
printf "%s|%s" "$GRUB_CMDLINE_LINUX" "$GRUB_CMDLINE_LINUX_DEFAULT"
"""
_U_BOOT = """\
for file; do [ ! -e "$file" ] || . "$file"; done
printf "%s" "$U_BOOT_PARAMETERS"
"""
ENTRIES = ("boot/loader/entries", "efi/loader/entries", "boot/efi/loader/entries")


def without(line: str, names: set[str]) -> str:
    """Return words without those that are, or begin with, such a name."""
    words = [word for word in line.split() if not {word, word.partition("=")[0]} & names]
    return " ".join(words)


def values(root: Path) -> tuple[str, str]:
    """Return the words for all entries, and for the usual ones, as grub-mkconfig's shell has them.

    They are in /etc/default/grub, and in what lies in grub.d.
    """
    files = (root / "etc/default/grub", *sorted((root / "etc/default/grub.d").glob("*.cfg")))
    done = subprocess.run(["sh", "-c", _SOURCE, "sh", *files], check=True, capture_output=True)
    always, usual = done.stdout.decode("latin-1").split("|")
    return always, usual


def mkconfig(root: Path, out: str) -> None:
    """Write a menu as grub-mkconfig does."""
    always, usual = values(root)
    lines = ["### BEGIN /etc/grub.d/10_linux ###"]
    for kernel in KERNELS:
        lines.append(f"\tlinux\t/vmlinuz-{kernel} root=UUID=1 ro {always} {usual}")
        lines.append(f"\tlinux\t/vmlinuz-{kernel} root=UUID=1 ro single {always}")
    lines += ["### END /etc/grub.d/10_linux ###", "### BEGIN /etc/grub.d/30_os-prober ###"]
    lines += ["\tlinux /vmlinuz root=/dev/sdb1", "### END /etc/grub.d/30_os-prober ###"]
    (root / out).parent.mkdir(parents=True, exist_ok=True)
    (root / out).write_text("\n".join(lines) + "\n", "latin-1")


def update_grub(root: Path, words: list[str]) -> None:
    """Debian's."""
    assert words == []
    mkconfig(root, "boot/grub/grub.cfg")


def grub_mkconfig(root: Path, words: list[str]) -> None:
    """GRUB's own, by either name."""
    option, out = words
    assert option == "-o"
    mkconfig(root, out.lstrip("/"))


def entries(root: Path) -> list[Path]:
    """Return the entries that there are."""
    return [path for folder in ENTRIES for path in sorted((root / folder).glob("*.conf"))]


def options(path: Path, change: Callable[[str], str]) -> None:
    """Change the options of an entry."""
    lines = path.read_text("latin-1").splitlines()
    lines = [
        f"options {change(line[8:])}" if line.startswith("options ") else line for line in lines
    ]
    path.write_text("".join(f"{line}\n" for line in lines), "latin-1")


def grubby(root: Path, words: list[str]) -> None:
    """It replaces arguments of the same name (grubby(8))."""
    which, what = words
    assert which == "--update-kernel=ALL"
    option, _, said = what.partition("=")
    assert option in ("--args", "--remove-args")
    adds = option == "--args"
    names = {word.partition("=")[0] if adds else word for word in said.split()}
    for path in entries(root):
        options(path, lambda line: f"{without(line, names)} {said if adds else ''}".rstrip())


def update_bootloader(root: Path, words: list[str]) -> None:
    """An option replaces that of its name, whatever is in it (perl-bootloader, include/library)."""
    option, said, config = words
    assert (option in ("--add-option", "--del-option"), config) == (True, "--config")
    path = root / "etc/default/grub"
    key = said.partition("=")[0]

    def change(match: re.Match[str]) -> str:
        rest = without(match[1], {key})
        more = f" {said}" if option == "--add-option" else ""
        return f'GRUB_CMDLINE_LINUX_DEFAULT="{rest}{more}"'

    text = re.sub(
        r'^GRUB_CMDLINE_LINUX_DEFAULT="(.*)"$', change, path.read_text("latin-1"), flags=re.M
    )
    path.write_text(text, "latin-1")
    mkconfig(root, "boot/grub2/grub.cfg")


def cmdline(root: Path) -> str:
    """Return the words of /etc/kernel/cmdline, or else of the running kernel, on a line."""
    path = root / "etc/kernel/cmdline"
    if path.exists():
        return " ".join(path.read_text("latin-1").split())
    return without((root / "proc/cmdline").read_text(), {"BOOT_IMAGE"})


def sdbootutil(root: Path, words: list[str]) -> None:
    """It writes the options of all entries of this system anew (update_all_entries)."""
    assert words == ["update-all-entries"]
    for path in (each for each in entries(root) if "machine-id" not in each.read_text("latin-1")):
        options(path, lambda _: cmdline(root))


def kernel_install(root: Path, words: list[str]) -> None:
    """It writes an entry (90-loaderentry.install)."""
    verb, release, image = words
    assert verb == "add"
    assert (root / image.lstrip("/")).is_file()
    entry = f"title x\nversion {release}\noptions {cmdline(root)}\nlinux /x/{release}/linux\n"
    (root / f"efi/loader/entries/x-{release}.conf").write_text(entry, "latin-1")


def u_boot_update(root: Path, words: list[str]) -> None:
    """Debian's: a shell reads the files, and /etc/kernel/cmdline counts where they say nothing."""
    assert words == []
    files = (root / "etc/default/u-boot", *sorted((root / "etc/u-boot-menu/conf.d").glob("*.conf")))
    done = subprocess.run(["sh", "-c", _U_BOOT, "sh", *files], check=True, capture_output=True)
    there = (root / "etc/kernel/cmdline").exists()
    usual = cmdline(root) if there else "ro quiet"
    text = f"label l0\n\tappend root=/dev/x {done.stdout.decode('latin-1') or usual}\n"
    (root / "boot/extlinux").mkdir(exist_ok=True)
    (root / "boot/extlinux/extlinux.conf").write_text(text, "latin-1")


def zipl(root: Path, words: list[str]) -> None:
    """It writes the map."""
    assert words == []
    (root / "boot/bootmap").write_bytes((root / "etc/zipl.conf").read_bytes())


def rpm_ostree(root: Path, words: list[str]) -> None:
    """It prints the arguments of the next deployment, or changes them (rpm-ostree(1))."""
    path = root / "kargs.json"
    have = json.loads(path.read_text())
    assert words[0] == "kargs"
    for word in words[1:]:
        option, _, said = word.partition("=")
        assert option in ("--append-if-missing", "--delete-if-present")
        have = [each for each in have if each != said]
        have += [said] if option == "--append-if-missing" else []
    path.write_text(json.dumps(have))
    print(" ".join(have))


TOOLS = {
    "update-grub": update_grub,
    "grub-mkconfig": grub_mkconfig,
    "grub2-mkconfig": grub_mkconfig,
    "grubby": grubby,
    "update-bootloader": update_bootloader,
    "sdbootutil": sdbootutil,
    "kernel-install": kernel_install,
    "u-boot-update": u_boot_update,
    "zipl": zipl,
    "rpm-ostree": rpm_ostree,
}

if __name__ == "__main__":
    name, top, calls, *given = sys.argv[1:]
    TOOLS[name](Path(top), given)
    with Path(calls).open("a") as log:
        log.write(f"{json.dumps([name, *given])}\n")
