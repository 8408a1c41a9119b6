# SPDX-License-Identifier: GPL-2.0-or-later
"""Crashes that begin where the capture kernel starts its first process, from a state kept of one.

That process is a stub, which waits for an image, unpacks it in the place of the kernel, and goes
on as its /init: the whole image runs, on a machine that crashed before. What such a row does not
prove stands in docs/hacking.md.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from kdump_initrd.core.run import run
from kdump_initrd.image.archive.filters import unpack
from kdump_initrd.image.archive.segments import read_segments

from .archive import Archive
from .cached import cache, making
from .machine import Machine, MachineConfig
from .phases import CAPTURE, Phase
from .scenario import Outcome, Scenario, folder_of, machine_config, write_first
from .tools import tool

_BEFORE = CAPTURE[: CAPTURE.index(Phase.CAPTURING)]
#: Seconds that a snapshot is kept after it was last used: one takes 0.4 GB.
_KEPT = 24 * 3600
_SPEAKER = "kdump-snapshot"
_APPLETS = ("sh", "mknod", "dd", "cpio", "sleep", "rm")
#: Where an image comes: memory that the first kernel is told not to use, in bytes. It lies below
#: the capture kernel's: no other can be read through /dev/mem (arch/x86/mm/mmap.c,
#: valid_phys_addr_range).
_PLACE, _ROOM = 128 << 20, 64 << 20
_PAGE = 4096
_STUB = f"""\
#!/snapshot/sh
# Its own folder is all that there is of it, and that goes away in the end.
set -u
PATH=/snapshot
mknod /snapshot/kmsg c 1 11
mknod /snapshot/mem c 1 1
page={_PLACE // _PAGE}
pages() {{ dd if=/snapshot/mem bs={_PAGE} skip="$1" count="$2" 2>/snapshot/said; }}
echo '<2>{_SPEAKER}: capturing' >/snapshot/kmsg
until pages "$page" 1 >/snapshot/head && read -r word parts </snapshot/head && [ "$word" = go ]; do
	sleep 0.1
done
page=$((page + 1))
for count in $parts; do
	pages "$page" "$count" | cpio -idu
	page=$((page + count))
done
rm -rf /snapshot
# As the kernel starts it.
unset PATH
exec /init
"""


@dataclass(frozen=True)
class Snapshot:
    """A machine's state, and what there is to know of it.

    ``token`` marks its crash; ``seconds`` are those from the panic to the state.
    """

    folder: Path
    token: str
    seconds: float

    @property
    def initrd(self) -> Path:
        """The first kernel's."""
        return self.folder / "first.cpio"

    @property
    def memory(self) -> Path:
        """The machine's memory."""
        return self.folder / "memory"

    @property
    def state(self) -> Path:
        """The state of its processor and devices, as QEMU writes it."""
        return self.folder / "state"


def crash_again(
    scenario: Scenario,
    *,
    on_line: Callable[[str], None] | None = None,
    on_phase: Callable[[Phase], None] | None = None,
) -> Outcome:
    """Do as crash(), from a snapshot of the same machine on, made if there is none.

    The phases up to the crash are left out, and the token is the snapshot's.
    """
    snapshot = _snapshot(scenario)
    # What a machine writes to its memory is not written to the file.
    memory = folder_of(scenario.name) / "memory"
    run(["cp", "--sparse=always", "--reflink=auto", snapshot.memory, memory], timeout=120)
    bring(memory, scenario.image)
    phases = tuple(phase for phase in scenario.phases if phase not in _BEFORE)
    config = _config(replace(scenario, phases=phases), snapshot.token, snapshot.initrd)
    words = (*_words(scenario, memory, "off"), "-incoming", "defer")
    with Machine(_with(config, words), on_line=on_line, on_phase=on_phase) as machine:
        machine.load(snapshot.state, since_crash=snapshot.seconds)
        return Outcome(machine.run(), snapshot.token)


def _config(scenario: Scenario, token: str, initrd: Path) -> MachineConfig:
    hole = f"memmap={_ROOM >> 20}M${_PLACE >> 20}M"
    return machine_config(replace(scenario, more=f"{scenario.more} {hole}"), token, initrd)


def _words(scenario: Scenario, memory: Path, share: str) -> tuple[str, ...]:
    size = f"size={scenario.memory_mib}M"
    backend = f"memory-backend-file,id=memory,mem-path={memory},{size},share={share}"
    return ("-machine", "memory-backend=memory", "-object", backend)


def _with(config: MachineConfig, words: tuple[str, ...]) -> MachineConfig:
    return replace(config, more=(*config.more, *words))


def bring(memory: Path, image: Path) -> None:
    """Put an image, unpacked, where the stub finds it in the machine's memory.

    A page tells the segments' pages, and each segment begins a page of its own. Raises ValueError
    for an image that the place has no room for.
    """
    parts = [b"".join(unpack(each.read(), each.compression)) for each in read_segments(image)]
    pages = [-(-len(part) // _PAGE) for part in parts]
    with memory.open("r+b") as out:
        out.seek(_PLACE)
        out.write(f"go {' '.join(map(str, pages))}\n".encode().ljust(_PAGE, b"\n"))
        for part, count in zip(parts, pages):
            out.write(part.ljust(count * _PAGE, b"\0"))
        if out.tell() > _PLACE + _ROOM:
            raise ValueError("the image is too large")


def _snapshot(scenario: Scenario) -> Snapshot:
    # Keyed by all that it is made from: the machine, and the first kernel's initrd with the stub.
    folder = folder_of(scenario.name)
    phases = (*_BEFORE, Phase.CAPTURING)
    stub = replace(scenario, image=folder / "stub.cpio", phases=phases, speaker=_SPEAKER)
    write_stub(stub.image)
    initrd = folder / "first.cpio"
    write_first(stub, "", initrd)
    target = _home() / key(_config(stub, "", initrd))
    with making(target) as missing:
        if missing:
            _remove_old()
            _make(stub, target)
    facts = json.loads((target / "facts.json").read_text())
    (target / "facts.json").touch()
    return Snapshot(target, **facts)


def key(config: MachineConfig) -> str:
    """Return the name of a machine's snapshot: of its words, its kernel, its initrd, and QEMU."""
    version = run([tool(config.architecture.program), "--version"], timeout=30).stdout
    words = " ".join(config.argv(0)).replace(str(config.folder), "")
    made_of = hashlib.sha256(version + words.encode())
    for path in filter(None, (config.kernel, config.initrd)):
        made_of.update(path.read_bytes())
    return made_of.hexdigest()[:16]


def _make(stub: Scenario, target: Path) -> None:
    fresh = target.with_suffix(".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    token = secrets.token_hex(8)
    made = Snapshot(fresh, token, 0)
    write_first(stub, token, made.initrd)
    config = _with(_config(stub, token, made.initrd), _words(stub, made.memory, "on"))
    with Machine(config) as machine:
        done = machine.run()
        machine.save(made.state)
    facts = {"token": token, "seconds": done.took(Phase.CAPTURING)}
    (fresh / "facts.json").write_text(json.dumps(facts))
    fresh.rename(target)


def _home() -> Path:
    return cache() / "snapshots"


def _remove_old() -> None:
    for facts in _home().glob("*/facts.json"):
        if time.time() - facts.stat().st_mtime > _KEPT:
            shutil.rmtree(facts.parent)


def write_stub(target: Path) -> None:
    """Write the image that a snapshot is taken of."""
    archive = Archive()
    archive.file("/snapshot/busybox", tool("busybox"))
    for applet in _APPLETS:
        archive.link(f"/snapshot/{applet}", "busybox")
    archive.content("/init", _STUB.encode())
    archive.write(target)
