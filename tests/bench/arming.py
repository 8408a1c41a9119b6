# SPDX-License-Identifier: GPL-2.0-or-later
"""The first kernel's initrd: what its hook adds to a boot, beside bare kexec, and its build.

Both are measured in the same boots, one behind the other: bare `kexec -p -s` of the payload (the
second of two, so that neither pays for the emulator's first translation), then the whole hook.
"""

from __future__ import annotations

import re
import statistics
import sys
from pathlib import Path

from tests.vm import bases, disks, loop, product, rootfs
from tests.vm.archive import Archive
from tests.vm.bases import Base, Packing
from tests.vm.loop import Loop
from tests.vm.phases import Phase
from tests.vm.rootfs import Root
from tests.vm.scenario import folder_of

from .subject import progress
from .table import Row, report

_ROUNDS = 5
#: The demands: seconds that the hook may take more than bare kexec, and that a build may take.
_MORE, _BUILD = 0.3, 2.0
_LIB = "/kdump-initrd/lib"
_FOLDER = "/scripts/init-top"
# Runs in place of all that init-top has; the tools are the base's busybox.
_SCRIPT = f"""\
#!/bin/sh
bare() {{
    {_LIB}/ld-linux-x86-64.so.2 --library-path {_LIB} /kdump-initrd/bin/kexec "$@"
}}
clock() {{
    read -r now _ </proc/uptime
    now=${{now%.*}}${{now#*.}}0
}}
tell() {{
    clock
    read -r loaded </sys/kernel/kexec_crash_loaded
    echo "<2>bench: $1 loaded=$loaded $start to $now" >/dev/kmsg
}}
line=$(sed -n "s/^line='\\(.*\\)'$/\\1/p" /kdump-initrd/arm)
for round in cold warm; do
    clock; start=$now
    bare -p -s /kdump-initrd/kernel --initrd=/kdump-initrd/initrd --command-line="$line"
    tell $round
    bare -p -u
done
clock; start=$now
{_FOLDER}/kdump-initrd
tell hook
echo 1 >/proc/sys/kernel/sysrq
echo o >/proc/sysrq-trigger
sleep 60
"""
_ROUNDS_OF_A_BOOT = ("cold", "warm", "hook")


def _measured(image: Path, root: Root) -> dict[str, int]:
    """Boot the image once; return the milliseconds of each round."""
    archive = Archive()
    archive.content(f"{_FOLDER}/bench", _SCRIPT.encode())
    archive.content(f"{_FOLDER}/ORDER", f"{_FOLDER}/bench\n".encode())
    part = image.with_suffix(".cpio")
    archive.write(part)
    whole = image.read_bytes()
    changed = image.with_suffix(".measured")
    changed.write_bytes(whole + bytes(-len(whole) % 4) + part.read_bytes())
    run = Loop("bench-arming", root.kernel, changed, (), phases=(Phase.OFF,))
    console = loop.go(run).run.console
    found = re.findall(r"bench: (\w+) loaded=1 (\d+) to (\d+)", console)
    times = {what: int(end) - int(start) for what, start, end in found}
    if tuple(times) != _ROUNDS_OF_A_BOOT:
        raise ValueError(f"not every round loaded the capture kernel, but {sorted(times)}")
    return times


def _build_seconds(root: Root, capture: Path, base: Path) -> list[float]:
    target = capture.with_name("built.img")
    kernel, options = root.kernel, ("--base", str(base))
    times = [
        product.build_first(target, capture, kernel, *options).seconds for _ in range(_ROUNDS + 1)
    ]
    return times[1:]


def main() -> int:
    """Measure and print; the status is 1 if the hook or a build takes too long."""
    root = rootfs.debian()
    folder = folder_of("bench-arming")
    capture, image = folder / "capture.img", folder / "first.img"
    device = f"UUID={disks.UUID}"
    product.build(capture, root.kernel, device, *product.VIRTIO)
    base = bases.base(root, Base.EARLY)
    product.build_first(image, capture, root.kernel, "--base", str(base))
    boots = []
    for number in range(_ROUNDS):
        boots.append(_measured(image, root))
        progress(f"boot {number + 1}: {boots[-1]} ms")
    bare = statistics.median(boot["warm"] for boot in boots) / 1000
    more = statistics.median(boot["hook"] - boot["warm"] for boot in boots) / 1000
    rows = [
        Row("bare kexec -p -s", bare, "s", note="medians of five boots"),
        Row("the hook, more than that", more, "s", _MORE),
    ]
    for what, path in {
        "zstd": bases.base(root, Base.MOST),
        "gzip": bases.packed(root, Packing.GZIP, Base.MOST),
        "xz": bases.packed(root, Packing.XZ, Base.MOST),
    }.items():
        times = _build_seconds(root, capture, path)
        size = f"{path.stat().st_size / 1e6:.0f} MB"
        spread = f"{min(times):.2f} to {max(times):.2f} s"
        limit = _BUILD if what == "zstd" else None
        rows.append(Row(f"build on {size}, {what}", statistics.median(times), "s", limit, spread))
    return report(f"first kernel's initrd, kernel {root.kernel.release}", rows)


if __name__ == "__main__":
    sys.exit(main())
