# SPDX-License-Identifier: GPL-2.0-or-later
"""``kdump-initrd load``, ``reload`` and ``unload``: which words kexec gets, and what is said."""

from __future__ import annotations

import errno
import hashlib
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kdump_initrd.commands import answers
from kdump_initrd.commands.admin import main
from kdump_initrd.commands.verbs import load
from kdump_initrd.core import exits
from kdump_initrd.core.errors import KdumpInitrdError
from kdump_initrd.core.root import Root
from kdump_initrd.image.tree import Tree
from kdump_initrd.recipes.firstkernel.loadedname import LOADED
from kdump_initrd.upkeep.loading import loadedfile, lockedmemory
from kdump_initrd.upkeep.ready import arming, readiness
from kdump_initrd.upkeep.ready.link import NO, UNKNOWN, YES, Link

from . import loadhost
from .initrdwriter import bzimage, pipe, write_capture
from .loadhost import BUILT_IN, RELEASE, LoadHost

REPO = Path(__file__).parents[2]
#: What kexec says of a kernel that does not have the new call.
UNKNOWN_CALL = "kexec_file_load failed: Function not implemented"
THEIRS = "another tool has loaded a capture kernel"


@pytest.fixture
def host(tmp_path: Path) -> LoadHost:
    return loadhost.make(tmp_path / "root")


def words_of(host: LoadHost) -> list[list[str]]:
    """Return the words of each call that loads, without those of the files."""
    found = [[*map(str, call["words"])] for call in host.calls]  # type: ignore[call-overload]
    return [[word for word in words if "/proc/self/fd/" not in word] for words in found]


def check_files(host: LoadHost, call: dict[str, object]) -> None:
    """Check that kexec has read the kernel and the image as they are on the disk."""
    kernel = (host.root / f"boot/vmlinuz-{RELEASE}").read_bytes()
    image = (host.root / f"boot/initrd.img-{RELEASE}-kdump").read_bytes()
    assert (call["kernel"], call["initrd"]) == (kernel.hex(), image.hex())


def test_by_file_descriptor(host: LoadHost) -> None:
    link = host.load()
    image = host.root / f"boot/initrd.img-{RELEASE}-kdump"
    assert (link.answer, link.text) == (YES, f"loaded: the capture kernel {RELEASE} with {image}")
    assert words_of(host) == [["-p", "-s", f"--command-line={BUILT_IN} console=ttyS0"]]
    (call,) = host.calls
    check_files(host, call)
    assert host.loaded == "1"
    said = loadedfile.load(Root(host.root))
    assert said is not None and said.by == loadedfile.HERE
    assert (
        said.image == hashlib.sha256(image.read_bytes()).hexdigest() == link.facts["image_sha256"]
    )
    assert said.kernel == hashlib.sha256(bzimage(RELEASE)).hexdigest()
    assert (said.cmdline, said.segment) == (f"{BUILT_IN} console=ttyS0", "")
    assert (host.root / LOADED).stat().st_mode & 0o777 == 0o600


def test_the_old_call_where_the_kernel_does_not_have_the_new_one(host: LoadHost) -> None:
    host.answer(s=UNKNOWN_CALL)
    assert host.load().answer == YES
    assert [words[:2] for words in words_of(host)] == [["-p", "-s"], ["-p", "-c"]]
    check_files(host, host.calls[1])


def test_it_is_loaded_once_and_again_when_something_is_new(host: LoadHost) -> None:
    host.load()
    assert host.load().text.startswith("already loaded: ")
    assert len(host.calls) == 1
    assert host.load(again=True).text.startswith("loaded: ")
    assert len(host.calls) == 2
    host.image(modules=("another",))
    host.load()
    assert len(host.calls) == 3
    check_files(host, host.calls[2])
    host.write("etc/kdump-initrd.toml", '[first-kernel]\nappend-cmdline = "debug"\n')
    host.load()
    assert words_of(host)[3][-1] == f"--command-line={BUILT_IN} console=ttyS0 debug"
    assert len(host.calls) == 4
    host.load()
    assert len(host.calls) == 4


def test_what_the_hook_has_loaded_is_replaced_when_there_is_more_to_give(host: LoadHost) -> None:
    host.load()
    text = (host.root / LOADED).read_text().replace("by=load", f"by={loadedfile.HOOK}")
    host.write(LOADED, text)
    assert host.load().facts["by"] == loadedfile.HOOK
    host.image(modules=("another",))
    assert host.load().facts["by"] == loadedfile.HERE


@pytest.mark.parametrize("left", ["nothing", "another boot's", "garbage"])
def test_what_another_tool_has_loaded_stays(host: LoadHost, left: str) -> None:
    host.load()
    if left == "nothing":
        (host.root / LOADED).unlink()
    elif left == "garbage":
        host.write(LOADED, b"\xff\0=\n\n==")
    else:
        host.write("proc/sys/kernel/random/boot_id", "the next boot\n")
    for again in (False, True):
        link = host.load(again=again)
        assert (link.answer, link.hint) == (NO, "kdump-initrd load --force")
        assert link.text == f"not loaded: {THEIRS}, which is not replaced"
    link = host.unload()
    assert (link.answer, link.text) == (NO, f"not unloaded: {THEIRS}")
    assert len(host.calls) == 1
    assert host.load(force=True).answer == YES
    assert len(host.calls) == 2
    assert host.load().text.startswith("already loaded: ")


def test_unload(host: LoadHost) -> None:
    assert host.unload().text == "unloaded: nothing was loaded"
    host.load()
    assert host.unload().answer == YES
    assert words_of(host)[1] == ["-p", "-u"]
    assert (host.loaded, (host.root / LOADED).parent.exists()) == ("0", False)
    host.write("sys/kernel/kexec/crash_loaded", "1\n")
    assert host.unload(force=True).answer == YES


def _size(mib: int) -> str:
    return f"{mib << 20}\n"


REFUSALS = {
    "nothing reserved": (0, "no crashkernel= reservation: boot with crashkernel="),
    "too small": (16, "the reservation of 16 MiB is too small: boot with crashkernel="),
}
FULL = "kexec_file_load failed: Cannot assign requested address"


@pytest.mark.parametrize("what", REFUSALS)
def test_a_reservation_that_cannot_do(host: LoadHost, what: str) -> None:
    mib, text = REFUSALS[what]
    host.write("sys/kernel/kexec/crash_size", _size(mib))
    link = host.load()
    assert (link.answer, link.hint) == (NO, "kdump-initrd reserve --set, then restart")
    assert link.text.startswith(f"not loaded: {text}")
    assert not (host.root / LOADED).exists()


def test_a_reservation_that_turns_out_to_be_full(host: LoadHost) -> None:
    """It is said to be too small only where it is smaller than what is advised."""
    host.write("sys/kernel/kexec/crash_size", _size(16))
    advised = int(host.load().text.rpartition("crashkernel=")[2].rstrip("M"))
    host.answer(s=FULL, c="x")
    host.write("sys/kernel/kexec/crash_size", _size(advised - 1))
    link = host.load()
    assert (link.answer, link.hint) == (NO, "kdump-initrd reserve --set, then restart")
    assert link.text.endswith(f"too small: boot with crashkernel={advised}M ({FULL})")
    assert not (host.root / LOADED).exists()
    host.write("sys/kernel/kexec/crash_size", _size(advised))
    with pytest.raises(KdumpInitrdError, match=f"load refused: {FULL}"):
        host.load()


#: Loads, in a process of its own.
_ALONE = """
import sys
from pathlib import Path
from tests.unit.loadhost import LoadHost
LoadHost(Path(sys.argv[1])).load(again=True)
"""
#: The kernel has it, and whoever called is gone before it can write that down.
_KILLS = """#!/bin/sh
echo 1 >{root}/sys/kernel/kexec/crash_loaded
kill -9 $PPID
"""


def test_what_was_loaded_when_it_was_killed_is_ours(host: LoadHost) -> None:
    for _ in range(2):  # where nothing was loaded, and in place of what was
        host.write("usr/sbin/kexec", _KILLS.format(root=host.root))
        argv = [sys.executable, "-c", _ALONE, str(host.root)]
        done = subprocess.run(argv, cwd=REPO, timeout=60, check=False)
        assert (done.returncode, host.loaded) == (-signal.SIGKILL, "1")
        link = status_link(host)
        assert (link.answer, link.hint) == (NO, "kdump-initrd load")
        assert link.text.endswith("that was interrupted")
        host.add_kexec()
        assert host.load().text.startswith("loaded: ")
        assert status_link(host).answer == YES


def test_where_it_cannot_be_written_down_nothing_is_loaded(host: LoadHost) -> None:
    (host.root / LOADED).mkdir(parents=True)
    with pytest.raises(KdumpInitrdError, match="is a folder"):
        host.load()
    assert (host.calls, host.loaded) == ([], "0")


@pytest.mark.parametrize(
    "said",
    ["kexec_file_load failed: Operation not permitted",
     "kexec_file_load failed: Key was rejected by service"],
)  # fmt: skip
def test_lockdown(host: LoadHost, said: str) -> None:
    host.answer(s=said, c="kexec_load failed: Operation not permitted")
    link = host.load()
    assert (link.answer, link.text) == (
        NO, f"not loaded: lockdown, or a policy like it: {said}",
    )  # fmt: skip
    assert "signed" in link.hint


def test_what_kexec_refuses_is_an_error_and_names_its_reason(host: LoadHost) -> None:
    host.answer(s=UNKNOWN_CALL, c="Cannot determine the file type of x\nnr_segments = 2")
    with pytest.raises(KdumpInitrdError) as caught:
        host.load()
    assert caught.value.message == "load refused: Cannot determine the file type of x"


def test_the_exit_status_is_looked_at(host: LoadHost) -> None:
    """The kernel still has what was loaded before, and says 1."""
    host.load()
    host.answer(s="no", c="neither")
    with pytest.raises(KdumpInitrdError, match=r"load refused: no$"):
        host.load(again=True)
    assert host.load().text.startswith("already loaded: ")


def test_the_kernel_is_asked_and_not_kexec(host: LoadHost) -> None:
    host.write("usr/sbin/kexec", "#!/bin/sh\nexit 0\n").chmod(0o755)
    with pytest.raises(KdumpInitrdError, match=r"load refused: status 0$"):
        host.load()


def test_a_kernel_that_can_load_none(host: LoadHost) -> None:
    (host.root / "sys/kernel/kexec/crash_size").unlink()
    link = host.load()
    assert (link.answer, link.text) == (NO, "not loaded: this kernel cannot load a capture kernel")


def test_what_is_missing(host: LoadHost) -> None:
    (host.root / "usr/sbin/kexec").unlink()
    with pytest.raises(KdumpInitrdError, match="no kexec"):
        host.load()
    (host.root / f"boot/initrd.img-{RELEASE}-kdump").unlink()
    with pytest.raises(KdumpInitrdError) as caught:
        host.load()
    assert caught.value.hint == f"mkinitrd-kdump --refresh {RELEASE}"
    with pytest.raises(KdumpInitrdError, match="nope: no such kernel in ") as caught:
        host.load(kernel="nope")
    assert caught.value.hint is not None and caught.value.hint.startswith("present: ")
    (host.root / "proc/cmdline").unlink()
    with pytest.raises(KdumpInitrdError, match="this system does not run"):
        host.load()


def test_another_capture_kernel(host: LoadHost) -> None:
    """A configured one, and one that is named; both by release or by image."""
    other = "5.10.0-plain"
    host.write(f"boot/vmlinuz-{other}", bzimage(other))
    mine = host.root / f"boot/initrd.img-{RELEASE}-kdump"
    write_capture(mine.with_name(f"initrd.img-{other}-kdump"), kernel=other)
    host.load(kernel=other)
    host.load(kernel=str(host.root / f"boot/vmlinuz-{other}"))
    assert len(host.calls) == 1
    assert host.calls[0]["kernel"] == bzimage(other).hex()
    host.load()
    assert host.calls[1]["kernel"] == bzimage(RELEASE).hex()
    host.write("etc/kdump-initrd.toml", f'[first-kernel]\ncapture-kernel = "{other}"\n')
    assert host.load().facts["kernel"] == other
    assert host.calls[2]["kernel"] == bzimage(other).hex()


def test_settings_that_want_no_image(host: LoadHost) -> None:
    host.write("etc/kdump-initrd.toml", "[refresh]\nimages = []\n")
    link = host.load()
    assert (link.answer, host.calls) == (YES, [])
    assert link.text.startswith("nothing is to be loaded: images is empty in ")
    assert host.load(kernel=RELEASE).text.startswith("loaded: ")


def _harmless(tree: Tree, root: Root) -> None:
    lockedmemory.lock()
    tree.add_content("usr/lib/kdump-initrd/harmless", b"a harmless text\n", why="a test")


#: Loads with a segment, in a process of its own: it locks its memory, and may mount.
_WITH_SEGMENT = """
import sys
from pathlib import Path
from tests.unit.loadhost import LoadHost
from tests.unit.test_load import _harmless
link = LoadHost(Path(sys.argv[1])).load(contributors=[_harmless])
status = Path("/proc/self/status").read_text()
locked = int(status.partition("VmLck:")[2].split()[0])
assert locked > 1000, locked
assert Path("/proc/self/limits").read_text().partition("Max core file size")[2].split()[0] == "0"
import ctypes
assert ctypes.CDLL(None).prctl(3, 0, 0, 0, 0) == 0, "dumpable"
print(link.answer)
"""


@pytest.mark.parametrize("place", ["memfd", "ramfs"])
def test_a_file_that_is_in_memory_only(host: LoadHost, tmp_path: Path, place: str) -> None:
    """kexec reads the image, and behind it an archive with the file; nobody can write to it."""
    if place == "ramfs":
        host.answer(memfd="kexec_file_load failed: Text file busy")
    argv = ["unshare", "-m", sys.executable, "-c", _WITH_SEGMENT, str(host.root)]
    done = subprocess.run(argv, cwd=REPO, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr, done.returncode) == (f"{YES}\n", "", 0)
    call = host.calls[-1]
    image = (host.root / f"boot/initrd.img-{RELEASE}-kdump").read_bytes()
    taken = bytes.fromhex(str(call["initrd"]))
    assert taken.startswith(image)
    rest = taken[len(image) :]
    assert rest.lstrip(b"\0").startswith(b"070701") and len(taken) % 4 == 0
    names = pipe(["cpio", "-t", "--quiet"], rest.lstrip(b"\0")).decode().split()
    assert "usr/lib/kdump-initrd/harmless" in names
    assert (place in str(call["where"])) or place == "ramfs"
    if place == "memfd":
        assert call["refused"] == errno.EPERM, "it is sealed"
    said = loadedfile.load(Root(host.root))
    assert said is not None and said.segment
    assert [path.name for path in (host.root / "run/kdump-initrd").iterdir()] == ["loaded"]
    assert not [line for line in Path("/proc/mounts").read_text().splitlines() if "ramfs" in line
                and str(host.root) in line]  # fmt: skip


def status_link(host: LoadHost) -> Link:
    """Return what status says of it."""
    from kdump_initrd.config import effective
    from kdump_initrd.config.settings import CommonSettings
    from kdump_initrd.recipes.found import find_root

    settings = CommonSettings(root=str(host.root), dry_run=True)
    root, profile = find_root(settings, target=None)
    configured = effective.read(root, peer=profile.config.peer)
    return arming.loaded(readiness.running(root), root, profile=profile, configured=configured)


def test_status_tells_by_whom_and_whether_it_is_the_present_one(host: LoadHost) -> None:
    assert status_link(host).hint == "kdump-initrd load"
    host.load()
    link = status_link(host)
    assert (link.answer, link.text, link.hint) == (YES, "by kdump-initrd load", "")
    host.image(modules=("another",))
    link = status_link(host)
    assert (link.answer, link.hint) == (NO, "kdump-initrd reload")
    assert link.text == "no longer the present one, by kdump-initrd load: changed: the image"
    host.load()
    host.write("etc/kdump-initrd.toml", '[first-kernel]\nappend-cmdline = "debug"\n')
    assert status_link(host).text.endswith("changed: the command line")
    (host.root / LOADED).unlink()
    link = status_link(host)
    assert (link.answer, link.hint) == (UNKNOWN, "kdump-initrd load --force")
    assert link.text.startswith("by another tool, or by hand: ")


def test_json_and_exit_status(host: LoadHost, capsys: pytest.CaptureFixture[str]) -> None:
    link = Link("loaded", NO, "not loaded: why", "kdump-initrd reserve --set")
    assert load.say(link, "load", as_json=True) == exits.NO
    table = json.loads(capsys.readouterr().out)
    assert (table["schema"], table["answer"]) == (answers.SCHEMA, NO)
    assert load.say(link, "load", as_json=False) == exits.NO
    assert capsys.readouterr().out == "not loaded: why\nhint: kdump-initrd reserve --set\n"
    page = (REPO / "docs/man/kdump-initrd-json.5").read_text().replace("\\-", "-")
    assert {field for field in host.load().facts if f"\n.B {field}\n" not in page} == set()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["load", "a", "b"], "b: load takes one KERNEL only"),
        (["load", ""], "KERNEL: the value is empty"),
        (["unload", "a"], "a: unload takes options only"),
        (["reload", "--root", "/"], "unrecognized arguments: --root"),
    ],
)
def test_wrong_words(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == exits.USAGE
    assert capsys.readouterr().err.startswith(f"kdump-initrd: error: {message}")
