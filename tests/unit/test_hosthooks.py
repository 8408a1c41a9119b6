# SPDX-License-Identifier: GPL-2.0-or-later
"""The hooks of package managers, called as those call them, under each shell; and the service."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

HOOKS = Path(__file__).resolve().parents[2] / "hooks/host"
POSTINST = HOOKS / "debian/kernel-postinst"
POSTRM = HOOKS / "debian/kernel-postrm"
POST_UPDATE = HOOKS / "debian/initramfs-post-update"
PLUGIN = HOOKS / "redhat/95-kdump-initrd.install"
CHANGED = HOOKS / "kernels-changed"
SERVICE = HOOKS / "systemd/kdump-initrd-refresh.service"
LOADER = HOOKS / "systemd/kdump-initrd.service"
RELOADER = HOOKS / "systemd/kdump-initrd-reload.service"
UNITS = (SERVICE, LOADER, RELOADER)
RULES = HOOKS / "udev/98-kdump-initrd.rules"
ALPM = HOOKS / "arch/95-kdump-initrd.hook"
SHELLS = (("dash",), ("bash", "--posix"), ("busybox", "ash"))
VERSION = "6.1.0-56-amd64"
IMAGE = f"/boot/vmlinuz-{VERSION}"


@dataclass(frozen=True)
class Outcome:
    """What a hook left: its exit status, both outputs, the calls of the tool and of logger."""

    status: int
    stdout: str
    stderr: str
    calls: list[str]


class Caller:
    """A PATH whose tool notes how it is called, and ends as it is told."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.bin = top / "bin"
        self.bin.mkdir()
        self.calls = top / "calls"
        self.program("mkinitrd-kdump", 'echo said; echo complained >&2; exit "${TOOL_STATUS-0}"')
        self.program("logger", "exit 1")

    def program(self, name: str, body: str) -> None:
        """Write a program into the PATH."""
        path = self.bin / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >>{self.calls}\n{body}\n')
        path.chmod(0o755)

    def run(self, argv: Sequence[str | Path], **environment: str) -> Outcome:
        """Run a caller; the hook and the tool are in its environment."""
        self.calls.write_text("")
        path = f"{self.bin}:{os.environ['PATH']}"
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30,
            env={"PATH": path, "LC_ALL": "C.UTF-8", **environment}, check=False,
        )  # fmt: skip
        return Outcome(
            done.returncode, done.stdout, done.stderr, self.calls.read_text().splitlines()
        )


@pytest.fixture
def caller(tmp_path: Path) -> Caller:
    return Caller(tmp_path)


@pytest.fixture(params=SHELLS, ids=lambda shell: shell[0])
def shell(request: pytest.FixtureRequest) -> Sequence[str]:
    found: Sequence[str] = request.param
    return found


#: Hook, its words, its environment, and the words that the tool is to get.
CALLS: Mapping[str, tuple[Path, tuple[str, ...], dict[str, str], str]] = {
    "Debian, kernel installed": (
        POSTINST, (VERSION, IMAGE), {"DEB_MAINT_PARAMS": "configure"}, f"--refresh {VERSION}"
    ),
    "Debian, kernel upgraded": (
        POSTINST, (VERSION, IMAGE), {"DEB_MAINT_PARAMS": "configure 6.1.170-3"},
        f"--refresh {VERSION}",
    ),
    "make install, without dpkg": (POSTINST, (VERSION, IMAGE), {}, f"--refresh {VERSION}"),
    "Debian, kernel's configuration failed": (
        POSTINST, (VERSION, IMAGE), {"DEB_MAINT_PARAMS": "abort-upgrade 6.1.170-3"}, ""
    ),
    "Debian, kernel removed": (
        POSTRM, (VERSION, IMAGE), {"DEB_MAINT_PARAMS": "remove"}, f"--remove {VERSION}"
    ),
    "Debian, kernel purged": (
        POSTRM, (VERSION, IMAGE), {"DEB_MAINT_PARAMS": "purge"}, f"--remove {VERSION}"
    ),
    "Debian, old kernel's files replaced": (
        POSTRM, (VERSION, IMAGE), {"DEB_MAINT_PARAMS": "upgrade 6.1.171-1"}, ""
    ),
    "initramfs-tools, initrd made": (
        POST_UPDATE, (VERSION, f"/boot/initrd.img-{VERSION}"), {}, f"--refresh {VERSION}"
    ),
    "kernel-install, added": (
        PLUGIN, ("add", VERSION, f"/boot/0123/{VERSION}", f"/lib/modules/{VERSION}/vmlinuz"),
        {"KERNEL_INSTALL_VERBOSE": "0", "KERNEL_INSTALL_LAYOUT": "other"},
        f"--refresh --quiet {VERSION}",
    ),
    "kernel-install, added, verbose, with initrds": (
        PLUGIN, ("add", VERSION, f"/efi/0123/{VERSION}", IMAGE, "/tmp/initrd", "/tmp/more"),
        {"KERNEL_INSTALL_VERBOSE": "1", "KERNEL_INSTALL_LAYOUT": "bls"}, f"--refresh {VERSION}",
    ),
    "kernel-install, removed": (
        PLUGIN, ("remove", VERSION, f"/boot/0123/{VERSION}"), {}, f"--remove --quiet {VERSION}"
    ),
    "kernel-install, a command of the future": (
        PLUGIN, ("inspect", VERSION, f"/boot/0123/{VERSION}"), {}, ""
    ),
    "rpm or pacman": (CHANGED, (), {}, "--refresh"),
    "rpm, with the number of packages": (CHANGED, ("0", "0"), {}, "--refresh"),
}  # fmt: skip


@pytest.mark.parametrize("call", CALLS)
def test_what_the_tool_is_called_with(caller: Caller, shell: Sequence[str], call: str) -> None:
    hook, words, environment, expected = CALLS[call]
    done = caller.run([*shell, hook, *words], **environment)
    assert done.status == 0
    assert done.calls == ([f"mkinitrd-kdump {expected}"] if expected else [])


@pytest.mark.parametrize("call", [name for name, each in CALLS.items() if each[3]])
@pytest.mark.parametrize("status", ["1", "2", "77"])
def test_a_failure_is_logged_and_no_more(
    caller: Caller, shell: Sequence[str], call: str, status: str
) -> None:
    """77 would end kernel-install's operation."""
    hook, words, environment, expected = CALLS[call]
    done = caller.run([*shell, hook, *words], TOOL_STATUS=status, **environment)
    assert done.status == 0
    assert done.calls[0] == f"mkinitrd-kdump {expected}"
    message = re.search(r"^(?:W: kdump-initrd|kdump-initrd: warning): (.*)", done.stderr, re.M)
    assert message is not None
    assert VERSION in message[1] or expected == "--refresh"
    # busybox takes its own logger instead of the one in the PATH.
    logged = [f"logger -t kdump-initrd -p daemon.warning {message[1]}"]
    assert done.calls[1:] == ([] if shell[0] == "busybox" else logged)


@pytest.mark.parametrize("call", CALLS)
def test_without_the_tool_nothing_happens(caller: Caller, shell: Sequence[str], call: str) -> None:
    """A conffile outlives its package."""
    hook, words, environment, _ = CALLS[call]
    (caller.bin / "mkinitrd-kdump").unlink()
    done = caller.run([*shell, hook, *words], **environment)
    assert (done.status, done.stdout, done.stderr, done.calls) == (0, "", "", [])


@pytest.mark.parametrize("hook", [POSTINST, POSTRM, POST_UPDATE, PLUGIN])
def test_without_a_version_nothing_happens(
    caller: Caller, shell: Sequence[str], hook: Path
) -> None:
    argv: list[str | Path] = [*shell, hook, *(["add"] if hook == PLUGIN else [])]
    done = caller.run(argv)
    assert (done.status, done.calls) == (0, [])


@pytest.mark.parametrize("hook", [POSTINST, POSTRM, POST_UPDATE])
def test_standard_output_is_left_to_debconf(
    caller: Caller, shell: Sequence[str], hook: Path
) -> None:
    done = caller.run([*shell, hook, VERSION, IMAGE])
    assert done.stdout == ""
    assert done.stderr == "said\ncomplained\n"


@pytest.mark.parametrize("failing", [False, True])
def test_run_parts_calls_ours_behind_initramfs_tools(caller: Caller, failing: bool) -> None:
    """As the post-install script of Debian's kernels calls run-parts."""
    folder = caller.top / "postinst.d"
    folder.mkdir()
    shutil.copy(POSTINST, folder / "zz-kdump-initrd")
    (folder / "initramfs-tools").write_text('#!/bin/sh\nupdate-initramfs -c -k "$1"\n')
    (folder / "initramfs-tools").chmod(0o755)
    caller.program("update-initramfs", "")
    argv = ["run-parts", "--report", "--exit-on-error", f"--arg={VERSION}", f"--arg={IMAGE}"]
    status = "1" if failing else "0"
    done = caller.run([*argv, folder], DEB_MAINT_PARAMS="configure", TOOL_STATUS=status)
    assert done.status == 0
    expected = [f"update-initramfs -c -k {VERSION}", f"mkinitrd-kdump --refresh {VERSION}"]
    assert done.calls[:2] == expected


def test_post_update_comes_before_the_initrd_is_copied(caller: Caller) -> None:
    """As update-initramfs calls run-parts; systemd-boot's hook copies the initrd."""
    folder = caller.top / "post-update.d"
    folder.mkdir()
    shutil.copy(POST_UPDATE, folder / "kdump-initrd")
    (folder / "systemd-boot").write_text(f"#!/bin/sh\necho copied >>{caller.calls}\n")
    (folder / "systemd-boot").chmod(0o755)
    argv = ["run-parts", f"--arg={VERSION}", f"--arg=/boot/initrd.img-{VERSION}", str(folder)]
    assert caller.run(argv).calls == [f"mkinitrd-kdump --refresh {VERSION}", "copied"]


def kernel_install(caller: Caller, layout: str, *words: str, **environment: str) -> Outcome:
    """Run systemd's kernel-install with its own plugins, one that makes initrds, and ours."""
    maker = caller.top / "50-dracut.install"
    maker.write_text(
        '#!/bin/sh\n[ "$1" = add ] || exit 0\necho initrd >"$KERNEL_INSTALL_STAGING_AREA/initrd"\n'
    )
    maker.chmod(0o755)
    plugin = shutil.copy(PLUGIN, caller.top)
    last = caller.top / "99-last.install"
    last.write_text(f"#!/bin/sh\necho last >>{caller.calls}\n")
    last.chmod(0o755)
    own = "/usr/lib/kernel/install.d/90-loaderentry.install"
    plugins = sorted([str(maker), own, str(plugin), str(last)], key=os.path.basename)
    boot = caller.top / "boot"
    boot.mkdir(exist_ok=True)
    conf = caller.top / "conf"
    conf.mkdir(exist_ok=True)
    (conf / "install.conf").write_text(f"layout={layout}\n")
    (conf / "cmdline").write_text("root=/dev/vda1\n")
    (conf / "entry-token").write_text("mine\n")
    return caller.run(
        ["kernel-install", *words],
        KERNEL_INSTALL_CONF_ROOT=str(conf),
        KERNEL_INSTALL_PLUGINS=" ".join(plugins),
        BOOT_ROOT=str(boot),
        MACHINE_ID="0123456789abcdef0123456789abcdef",
        **environment,
    )


@pytest.mark.parametrize("layout", ["bls", "other"])
@pytest.mark.parametrize("status", ["0", "1", "77"])
def test_kernel_install_itself(caller: Caller, layout: str, status: str) -> None:
    entry = caller.top / f"boot/mine/{VERSION}"
    # What is where the initrd is booted from, at the time of the call.
    caller.program("mkinitrd-kdump", f'ls {entry} >>{caller.calls} 2>&1; exit "$TOOL_STATUS"')
    image = caller.top / "vmlinuz"
    image.write_bytes(b"kernel")
    done = kernel_install(caller, layout, "add", VERSION, str(image), TOOL_STATUS=status)
    assert done.status == 0, done.stderr
    assert done.calls[0] == f"mkinitrd-kdump --refresh --quiet {VERSION}"
    if layout == "bls":
        assert done.calls[1:3] == ["initrd", "linux"]
    assert done.calls[-1] == "last", "later plugins run as well"
    done = kernel_install(caller, layout, "remove", VERSION, TOOL_STATUS=status)
    assert done.status == 0, done.stderr
    assert done.calls[0] == f"mkinitrd-kdump --remove --quiet {VERSION}"
    assert not entry.exists()


def test_rpm_may_close_the_list_of_files_early(caller: Caller, shell: Sequence[str]) -> None:
    """A file trigger gets paths on standard input; nobody reads them."""
    argv = [*shell, "-c", f"yes /usr/lib/modules/{VERSION}/kernel | head -n 20000 | {CHANGED}"]
    done = caller.run(argv)
    assert (done.status, done.calls) == (0, ["mkinitrd-kdump --refresh"])


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: str(unit.name))
def test_systemd_takes_the_unit(tmp_path: Path, unit: Path) -> None:
    for each in UNITS:
        # The tools are not installed here.
        text = re.sub(r"^(Exec\w+)=\S+", r"\1=/bin/true", each.read_text(), flags=re.MULTILINE)
        (tmp_path / each.name).write_text(text)
    argv = ["systemd-analyze", "verify", "--man=no", str(tmp_path / unit.name)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def read_unit(path: Path) -> configparser.ConfigParser:
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read_string(path.read_text())
    return unit


def test_the_service_loads_and_stays_when_the_system_goes_down() -> None:
    unit = read_unit(LOADER)
    conditions = [line for line in LOADER.read_text().splitlines() if line.startswith("Condition")]
    assert {"ConditionKernelCommandLine=!elfcorehdr", "ConditionPathExists=!/proc/vmcore",
            "ConditionKernelCommandLine=!kdump_initrd.noload"} <= {*conditions}  # fmt: skip
    assert unit["Unit"]["DefaultDependencies"] == "no"
    assert SERVICE.name in unit["Unit"]["After"]
    service = unit["Service"]
    assert (service["Type"], service["RemainAfterExit"]) == ("oneshot", "yes")
    verbs = {"ExecStart": "load", "ExecReload": "reload", "ExecStop": "unload"}
    assert {name: service[name] for name in verbs} == {
        name: f"kdump-initrd {verb}" for name, verb in verbs.items()
    }
    # The file of the initrd's hook is there, and must stay; cryptsetup has its locks in the other.
    assert (service["RuntimeDirectory"], service["RuntimeDirectoryPreserve"]) == (
        "kdump-initrd cryptsetup", "yes",
    )  # fmt: skip


#: What has happened to the machine: subsystem, action, crash_hotplug; and whether it is reloaded.
EVENTS = [
    ("cpu", "add", "", True), ("cpu", "remove", "", True), ("cpu", "online", "0", True),
    ("cpu", "change", "", False), ("cpu", "add", "1", False), ("memory", "online", "", True),
    ("memory", "offline", "", True), ("memory", "add", "1", False), ("block", "add", "", False),
]  # fmt: skip


@pytest.mark.parametrize(("subsystem", "action", "hotplug", "reloads"), EVENTS)
def test_what_makes_udev_reload(subsystem: str, action: str, hotplug: str, reloads: bool) -> None:
    """By a reader of the few keys that the rules have."""
    known = {"SUBSYSTEM": subsystem, "ACTION": action, "ATTRS{crash_hotplug}": hotplug}
    label, ran = "", []
    for line in RULES.read_text().splitlines():
        pairs = re.findall(r'([\w{}]+)(\+?==?)"([^"]*)"', line)
        if label:
            label = "" if ("LABEL", "=", label) in pairs else label
            continue
        wanted = [(name, value.split("|")) for name, sign, value in pairs if sign == "=="]
        if all(known[name] in values for name, values in wanted):
            label = next((value for name, _, value in pairs if name == "GOTO"), "")
            ran += [value for name, _, value in pairs if name == "RUN"]
    assert len(ran) == reloads
    for command in ran:
        assert "is-active kdump-initrd.service" in command
        assert f"--no-block restart {RELOADER.name}" in command


def test_the_service_keeps_out_of_the_way() -> None:
    unit = read_unit(SERVICE)
    # elfcorehdr= is on a capture kernel's command line; where it is not (arm64), /proc/vmcore is.
    assert unit["Unit"]["ConditionKernelCommandLine"] == "!elfcorehdr"
    assert unit["Unit"]["ConditionPathExists"] == "!/proc/vmcore"
    service = unit["Service"]
    assert service["Type"] == "oneshot"
    assert service["ExecStart"] == "mkinitrd-kdump --refresh"
    # A unit that a boot only wants: it may fail.
    assert set(unit["Install"]) == {"WantedBy"}
    assert (service["Nice"], service["IOSchedulingClass"]) == ("19", "idle")
    assert unit["Install"]["WantedBy"] == "multi-user.target"


def test_pacmans_hook_runs_behind_the_makers_of_initrds() -> None:
    assert ALPM.name > "90-mkinitcpio-install.hook"
    hook = configparser.ConfigParser(strict=False)
    hook.read_string(ALPM.read_text())
    assert hook["Action"]["When"] == "PostTransaction"
    assert hook["Action"]["Exec"] == f"/usr/lib/kdump-initrd/{CHANGED.name}"
    assert "AbortOnFail" not in hook["Action"]


def test_hooks_are_executable_and_nothing_else_is() -> None:
    programs = {POSTINST, POSTRM, POST_UPDATE, PLUGIN, CHANGED}
    for path in (path for path in HOOKS.rglob("*") if path.is_file()):
        assert bool(path.stat().st_mode & 0o111) == (path in programs), path
