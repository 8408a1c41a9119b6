# SPDX-License-Identifier: GPL-2.0-or-later
"""How a whole initrd finds, assembles, checks and mounts the root, under every shell."""

from __future__ import annotations

from pathlib import Path

import pytest

from .shells import SHELLS
from .wholeimages import RootBoot

DEFAULTS = {"root": "", "root_types": "", "root_flags": "", "root_mode": "ro", "root_delay": "0",
            "root_limit": "30", "wanted_init": "", "check_mode": "auto", "check_repair": "-a",
            "rescue": ""}  # fmt: skip


@pytest.fixture(params=SHELLS, ids=" ".join)
def boot(request: pytest.FixtureRequest, tmp_path: Path) -> RootBoot:
    return RootBoot(tmp_path, request.param)


@pytest.mark.parametrize(
    ("line", "changed"),
    [
        ("quiet splash", {}),
        ("root=UUID=1 ro root=/dev/vda1 rw", {"root": "/dev/vda1", "root_mode": "rw"}),
        ('root="LABEL=my  disk"', {"root": "LABEL=my  disk"}),
        ('"root=LABEL=a b" init=/x', {"root": "LABEL=a b", "wanted_init": "/x"}),
        ('rootflags="subvol=@,x=a b"', {"root_flags": "subvol=@,x=a b"}),
        ("rootfstype=xfs,btrfs", {"root_types": "xfs btrfs"}),
        ("rootfstype=auto", {}),
        ("rootdelay=5", {"root_delay": "5"}),
        ("rootdelay=90", {"root_delay": "90", "root_limit": "90"}),
        ("rootdelay=soon rootwait=x", {}),
        ("rootwait", {"root_limit": "0"}),
        ("rootwait rootdelay=7", {"root_limit": "0", "root_delay": "7"}),
        ("rootwait=9", {"root_limit": "9"}),
        ("fsck.mode=skip fsck.repair=no", {"check_mode": "skip", "check_repair": "-n"}),
        ("fsck.mode=force fsck.repair=yes", {"check_mode": "force", "check_repair": "-y"}),
        ("fsck.mode=maybe fsck.repair=x", {}),
        ("forcefsck fsckfix", {"check_mode": "force", "check_repair": "-y"}),
        ("fsck.repair=no fsck.repair=preen fastboot", {"check_mode": "skip"}),
        ("kdump_initrd.shell", {"rescue": "yes"}),
        ("kdump_initrd.shell=0", {}),
        ("root=/dev/a -- root=/dev/b init=/y", {"root": "/dev/a"}),
        ("root=/dev/* init=/*", {"root": "/dev/*", "wanted_init": "/*"}),
    ],
)  # fmt: skip
def test_command_line(boot: RootBoot, line: str, changed: dict[str, str]) -> None:
    boot.write("proc/cmdline", f"{line}\n")
    assert boot.show(*DEFAULTS, before="read_cmdline") == {**DEFAULTS, **changed}


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("DEV/disk/by-uuid/1-2", "UUID=1-2"),
        ("DEV/disk/by-label/a\\x20b\\x2fc", "LABEL=a b/c"),
        ("DEV/disk/by-label/caf\\xc3\\xa9", "LABEL=café"),
        ("DEV/disk/by-partuuid/AB-01", "PARTUUID=ab-01"),
        ("DEV/disk/by-partlabel/x\\x", "PARTLABEL=x\\x"),
        ("PARTUUID=5D0C8F72-16AB", "PARTUUID=5d0c8f72-16ab"),
        ("UUID=ABCD-0123", "UUID=ABCD-0123"),
        ("DEV/vda1", "DEV/vda1"),
    ],
)
def test_name_without_udev(boot: RootBoot, name: str, wanted: str) -> None:
    # Patterns of /dev in the scripts begin in the folder, too.
    name, wanted = (text.replace("DEV", f"{boot.top}/dev") for text in (name, wanted))
    found = boot.show("root", before=f"root='{name}'\nname_root")
    assert found["root"] == wanted.replace(str(boot.top), "")


@pytest.mark.parametrize(
    "name", ["/dev/nfs", "nfs:1.2.3.4:/x", "dhcp", "LABEL=", "zfs:tank", "/dev/", "sda1", "", "a:b"]
)
def test_what_is_no_name_is_said_at_once(boot: RootBoot, name: str) -> None:
    root = name.replace("/dev/", f"{boot.top}/dev/")
    done = boot.run(f"root='{root}'\nfind_root || echo \"$why\"")
    assert done.printed == f"root={name}: not the name of a block device\n"
    assert done.calls == []


def test_device_that_is_there(boot: RootBoot) -> None:
    node = boot.device("vda1")
    done = boot.run(f'root={node}\nfind_root && echo "$node"')
    assert (done.printed, done.calls) == ("/dev/vda1\n", [])


def test_device_by_number(boot: RootBoot) -> None:
    boot.device("vda1")
    boot.write("sys/dev/block/254:1/uevent", "MAJOR=254\nDEVNAME=vda1\nDEVTYPE=partition\n")
    assert boot.run('root=254:1\nfind_root && echo "$node"').printed == "/dev/vda1\n"
    assert boot.run('root=254:2\nroot_limit=2\nfind_root || echo "$why"').printed == (
        "root=254:2 did not appear in 2 s\n"
    )


@pytest.mark.parametrize(
    ("limit", "tries", "found"), [(30, 9, True), (30, 99, False), (0, 99, True)]
)
def test_device_that_comes_late(boot: RootBoot, limit: int, tries: int, found: bool) -> None:
    node = boot.device("sdb2")
    boot.program("findfs", f'echo x >>tries; [ "$(wc -l <tries)" -gt {tries} ] && echo {node}')
    done = boot.run(f'root=LABEL=x\nroot_limit={limit}\nfind_root && echo "$node" || echo "$why"')
    assert done.printed == ("/dev/sdb2\n" if found else "root=LABEL=x did not appear in 30 s\n")
    assert done.calls[0] == "findfs LABEL=x"


def test_drivers_are_loaded_for_what_comes_up(boot: RootBoot) -> None:
    boot.write("sys/bus/pci/devices/0/modalias", "pci:v1\n")
    boot.write("sys/bus/mmc/devices/mmc0/uevent", "MMC_TYPE=SD\nMODALIAS=mmc:block\n")
    virtio = f"{boot.top}/sys/bus/virtio/devices/0"
    script = f"""
        load_drivers() {{
            echo "$1"
            [ "$1" != pci:v1 ] || {{ mkdir -p {virtio}; echo virtio:d2 >{virtio}/modalias; }}
        }}
        plug
        plug
    """
    assert boot.run(script).printed == "pci:v1\nmmc:block\nvirtio:d2\n"


LVS = """\
  WARNING: some | thing.
  vg/pool||/dev/mapper/vg-pool
  vg/home|DEV/vg/home|DEV/mapper/vg-home
  vg/my-root|DEV/vg/my-root|DEV/mapper/vg-my--root
"""


def volumes(boot: RootBoot) -> None:
    """Give the machine a volume group; the node of a volume comes when it is activated."""
    lvs = LVS.replace("DEV", f"{boot.top}/dev")
    body = f"""
        case $1 in
        lvs) cat <<'EOF'
{lvs}EOF
            ;;
        lvchange)
            case $*  in
            *"activate y vg/my-root"*) mknod dev/mapper/vg-my--root b 7 201; mkdir -p dev/vg
                ln -s ../mapper/vg-my--root dev/vg/my-root ;;
            esac
            ;;
        esac
    """
    boot.program("lvm", body)


def lvm_calls(calls: list[str]) -> list[str]:
    """Return what was done to volumes."""
    words = (line.partition(" --config")[0] for line in calls if line.startswith("lvm lvchange"))
    return [line.removeprefix("lvm lvchange --sysinit --activate ") for line in words]


@pytest.mark.parametrize("name", ["mapper/vg-my--root", "vg/my-root"])
def test_only_the_roots_volume_is_activated(boot: RootBoot, name: str) -> None:
    volumes(boot)
    done = boot.run(f'root={boot.top}/dev/{name}\nfind_root && echo "$node"')
    assert done.printed == f"/dev/{name}\n"
    assert lvm_calls(done.calls) == ["y vg/my-root"]
    assert done.calls[0] == "modprobe dm_mod"


def test_volumes_are_tried_for_a_tag(boot: RootBoot) -> None:
    volumes(boot)
    node = f"{boot.top}/dev/mapper/vg-my--root"
    boot.program("findfs", f"[ -b {node} ] && echo {node}")
    done = boot.run('root=UUID=1\nfind_root && echo "$node"')
    assert done.printed == "/dev/mapper/vg-my--root\n"
    assert lvm_calls(done.calls) == ["y vg/home", "n vg/home", "y vg/my-root"]
    # Not before drivers had time, since nothing tells that it lies on volumes.
    assert [line.split()[0] for line in done.calls].index("lvm") > 2


def test_a_tools_last_words_are_told(boot: RootBoot) -> None:
    boot.program("lvm", 'echo "  Volume group vg is missing PV x." >&2; exit 5')
    done = boot.run(f'root={boot.top}/dev/vg/x\nroot_limit=3\nfind_root || echo "$why"')
    assert done.printed == (
        "root=/dev/vg/x did not appear in 3 s (Volume group vg is missing PV x)\n"
    )


def test_missing_disks_get_two_thirds_of_the_time(boot: RootBoot) -> None:
    boot.write("etc/mdadm.conf", "")
    state = boot.write("sys/block/md7/md/array_state", "inactive\n")
    body = f"case $1 in --run) mknod dev/md0 b 7 202; echo clear >{state} ;; esac"
    boot.program("mdadm", body)
    done = boot.run(f'root={boot.top}/dev/md0\nfind_root && echo "$node $waited"')
    assert done.printed == "/dev/md0 20\n"
    calls = [line for line in done.calls if line.startswith("mdadm")]
    scan = "mdadm --assemble --scan --no-degraded --config={} --homehost=<ignore>"
    assert calls[:2] == [scan.format("/etc/mdadm.conf"), scan.format("partitions")]
    assert calls[-1] == "mdadm --run /dev/md7"
    assert not [line for line in calls if "--run --config" in line]
    # An array that runs is left alone.
    (boot.top / "dev/md0").unlink()
    again = boot.run(f'root={boot.top}/dev/md0\nfind_root || echo "$why"')
    assert again.calls.count("mdadm --run /dev/md7") == 1
    assert "mdadm --assemble --scan --run --config=partitions --homehost=<ignore>" in again.calls


def test_udev_of_the_root_takes_over(boot: RootBoot) -> None:
    boot.write("sys/class/block/dm-0/dev", "253:0\n")
    boot.write("sys/class/block/dm-0/dm/name", "vg-root\n")
    boot.write("sys/class/block/md127/dev", "9:127\n")
    boot.device("mapper/vg-root")
    assert boot.run("hand_over").status == 0
    assert (boot.top / "dev/mapper/vg-root").readlink() == Path("../dm-0")
    records = boot.top / "run/udev/data"
    assert (records / "b253:0").read_text() == "E:DM_UDEV_PRIMARY_SOURCE_FLAG=1\n"
    assert (records / "b9:127").read_text() == "E:LVM_MD_PV_ACTIVATED=1\n"


def test_nothing_to_take_over(boot: RootBoot) -> None:
    assert boot.run("hand_over").printed == ""
    assert not (boot.top / "run/udev").exists()


@pytest.mark.parametrize(
    ("cmdline", "blkid", "wanted"),
    [
        ("root_types=", "xfs", "xfs ext4 xfs"),
        ("root_types=", "", "ext4 ext4 xfs"),
        ("root_types='btrfs f2fs'", "xfs", "btrfs f2fs"),
    ],
)
def test_types_that_are_tried(boot: RootBoot, cmdline: str, blkid: str, wanted: str) -> None:
    boot.program("blkid", f"echo {blkid}; [ -n '{blkid}' ]")
    assert boot.show("types", before=f"{cmdline}\nnode=x\nguess_types") == {"types": wanted}


@pytest.mark.parametrize(
    ("status", "line", "log"),
    [
        (0, "ok", []),
        (1, "ok", []),
        (2, "", ["<3>kdump-initrd: /dev/vda: fsck.ext4 requires a restart"]),
        (3, "", ["<3>kdump-initrd: /dev/vda: fsck.ext4 requires a restart"]),
        (4, "/dev/vda: fsck.ext4 has left errors (status 4): fsck.repair=yes repairs more", []),
        (6, "/dev/vda: fsck.ext4 has left errors (status 6): fsck.repair=yes repairs more", []),
        (8, "ok", ["<3>kdump-initrd: /dev/vda: not checked: fsck.ext4 ended with status 8"]),
        (32, "ok", ["<3>kdump-initrd: /dev/vda: not checked: fsck.ext4 ended with status 32"]),
    ],
)
def test_what_fsck_says(boot: RootBoot, status: int, line: str, log: list[str]) -> None:
    boot.program("fsck.ext4", f"exit {status}")
    done = boot.run('node=/dev/vda\ncheck_root && echo ok || echo "$why"')
    assert done.printed == (f"{line}\n" if line else "")
    assert done.log == log
    assert done.calls[0] == "fsck.ext4 -a /dev/vda"
    assert (done.calls[-1] == "restart") is (not line)
    assert (boot.top / "run/initramfs/fsck-root").exists() is (status < 2)


@pytest.mark.parametrize(
    ("words", "call"),
    [
        ("check_mode=skip", None),
        ("check_mode=force", "fsck.ext4 -a -f /dev/vda"),
        ("check_repair=-y", "fsck.ext4 -y /dev/vda"),
        ("root_types=xfs", None),
    ],
)
def test_how_fsck_is_called(boot: RootBoot, words: str, call: str | None) -> None:
    boot.program("fsck.ext4")
    done = boot.run(f"node=/dev/vda\n{words}\ncheck_root && echo ok")
    assert done.printed == "ok\n"
    assert done.calls == ([call] if call else [])


def test_mount(boot: RootBoot) -> None:
    script = (
        "root=LABEL=x node=/dev/vda types='ext4 xfs' root_flags=noatime root_mode=rw\nmount_root"
    )
    done = boot.run(script)
    assert done.calls == ["mount -t ext4 -o rw,noatime /dev/vda /sysroot"]
    assert done.log == ["<5>kdump-initrd: root=LABEL=x: /dev/vda is mounted (ext4, rw)"]


def test_mount_that_fails(boot: RootBoot) -> None:
    boot.write("mount-fails", "")
    done = boot.run("root=LABEL=x node=/dev/vda types='ext4 xfs'\nmount_root || echo \"$why\"")
    assert done.printed == "root=LABEL=x: /dev/vda cannot be mounted as ext4: Invalid argument\n"
    assert [call.split()[2] for call in done.calls] == ["ext4", "xfs"]


def test_root_that_a_rescuer_has_mounted(boot: RootBoot) -> None:
    boot.write("proc/mounts", f"rootfs / rootfs rw 0 0\n/dev/x {boot.top}/sysroot ext4 rw 0 0\n")
    done = boot.run("root=nowhere\nfind_root && check_root && mount_root && echo ok")
    assert (done.printed, done.calls) == ("ok\n", [])


def root_with(boot: RootBoot, *programs: str, **links: str) -> None:
    """Put programs and links into the root."""
    for name in programs:
        boot.write(f"sysroot/{name}", "").chmod(0o755)
    for name, target in links.items():
        link = boot.top / "sysroot" / name.replace("_", "/")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target)


@pytest.mark.parametrize(
    ("programs", "links", "wanted", "init"),
    [
        (["sbin/init"], {}, "", "/sbin/init"),
        (["usr/lib/systemd/systemd"], {"usr_sbin_init": "/lib/systemd/systemd", "sbin": "usr/sbin",
                                       "lib": "/usr/lib"}, "", "/sbin/init"),
        (["usr/lib/x"], {"sbin_init": "../usr/lib/x"}, "", "/sbin/init"),
        (["usr/x"], {"sbin_init": "../../../usr/x"}, "", "/sbin/init"),
        (["bin/sh"], {"sbin_init": "/nowhere", "etc_init": "init"}, "", "/bin/sh"),
        (["sbin/init", "opt/my init"], {}, "/opt/my init", "/opt/my init"),
        (["sbin/init"], {}, "/no", "/sbin/init"),
    ],
)  # fmt: skip
def test_first_process_of_the_root(
    boot: RootBoot, programs: list[str], links: dict[str, str], wanted: str, init: str
) -> None:
    root_with(boot, *programs, **links)
    done = boot.run(f"root=x wanted_init='{wanted}'\nfind_init && echo \"$init\"")
    assert done.printed == f"{init}\n"
    missing = ["<3>kdump-initrd: init=/no: not in the root"]
    assert done.log == (missing if wanted == "/no" else [])


def test_root_without_a_first_process(boot: RootBoot) -> None:
    boot.write("sysroot/sbin/init", "").chmod(0o644)
    done = boot.run('root=LABEL=x\nfind_init || echo "$why"')
    assert done.printed == "root=LABEL=x: no init in it: name one by init=\n"


@pytest.mark.parametrize(
    ("panic", "calls"),
    [("15", ["sleep 15", "restart"]), ("-1", ["restart"]), ("5", ["sleep 5", "restart"])],
)  # fmt: skip
def test_giving_up_is_what_panic_says(boot: RootBoot, panic: str, calls: list[str]) -> None:
    boot.write("proc/sys/kernel/panic", f"{panic}\n")
    done = boot.run('why="no root"\ngive_up')
    assert (done.status, done.calls) == (99, calls)
    assert done.log[0] == "<3>kdump-initrd: no root"
    restarts = [f"<5>kdump-initrd: restarting in {panic} s, as panic= says"]
    assert done.log[1:] == (restarts if panic != "-1" else [])


def test_without_panic_it_waits_for_ever(boot: RootBoot) -> None:
    boot.write("proc/sys/kernel/panic", "0\n")
    done = boot.run('why="no root"\nsleep() { exit 7; }\ngive_up')
    assert done.status == 7
    assert done.log[1] == ("<5>kdump-initrd: waiting forever: panic=SECONDS restarts instead, "
                           "kdump_initrd.shell opens a shell")  # fmt: skip


@pytest.mark.parametrize(("level", "said"), [("3", True), ("1", True), ("4", False), ("10", False)])
def test_a_quiet_console_is_told(boot: RootBoot, level: str, said: bool) -> None:
    boot.write("proc/sys/kernel/printk", f"{level}\t4\t1\t7\n")
    boot.write("dev/console", "")
    boot.run('why="no root"\ngive_up')
    wanted = "kdump-initrd: no root\n" if said else ""
    assert (boot.top / "dev/console").read_text() == wanted


def test_a_shell_is_opened_and_all_is_tried_again(boot: RootBoot) -> None:
    done = boot.run(
        'rescue=yes why="no root"\nopen_shell() { echo shell; }\ngive_up && echo "tried again"'
    )
    assert (done.printed, done.calls) == ("shell\ntried again\n", [])


def test_all_of_it(boot: RootBoot) -> None:
    root_with(boot, "sbin/init")
    for name in ("dev", "run", "sys"):
        (boot.top / "sysroot" / name).mkdir()
    node = boot.device("vda1")
    boot.write("proc/cmdline", f"root={node} rootdelay=3 rw\n")
    boot.write("etc/kdump-initrd/modules", "/a.ko x=1 y=2\n/b.ko\n")
    boot.program("switch_root")
    done = boot.run("boot single -b")
    assert (done.status, done.printed) == (0, "")
    assert done.calls == [
        "insmod /a.ko x=1 y=2", "insmod /b.ko", "sleep 3",
        "mount -t ext4 -o rw /dev/vda1 /sysroot",
        "mount -o move /dev /sysroot/dev", "mount -o move /run /sysroot/run",
        "mount -o move /sys /sysroot/sys",
        "umount -l /proc", # the root has no such folder
        "switch_root /sysroot /sbin/init single -b",
    ]  # fmt: skip


def test_without_root_on_the_command_line_the_builds_is_taken(boot: RootBoot) -> None:
    boot.program("findfs")
    boot.write("proc/cmdline", "rootwait=2\n")
    done = boot.run("boot")
    assert done.log[0] == "<3>kdump-initrd: root=UUID=built did not appear in 2 s"


def test_modules_on_demand(boot: RootBoot) -> None:
    boot.write("etc/kdump-initrd/on-demand/dm-raid", "/md.ko\n/dm-raid.ko a=1 b=2\n")
    text = boot.moved(Path("hooks/modprobe").resolve().read_text())
    script = boot.write("modprobe", text)
    # As the kernel calls it.
    done = boot.run(f"for name in dm-raid nope; do set -- -q -- $name; (. {script}); echo $?; done")
    assert done.printed == "0\n1\n"
    assert done.calls == ["insmod /md.ko", "insmod /dm-raid.ko a=1 b=2"]


def test_modules_get_what_the_command_line_has_for_them(boot: RootBoot) -> None:
    root_with(boot, "sbin/init")
    boot.device("vda1")
    boot.write("proc/cmdline", "root=/dev/none rootwait=1 a.x=3 dm_raid.b=4\n")
    boot.write("etc/kdump-initrd/modules", "/a.ko x=1 y=2\n/b.ko\n")
    boot.write("etc/kdump-initrd/on-demand/dm-raid", "/dm-raid.ko a=1\n")
    script = boot.write("modprobe", boot.moved(Path("hooks/modprobe").resolve().read_text()))
    done = boot.run(f"load_modules; set -- dm-raid; (. {script})")
    assert done.calls == ["insmod /a.ko x=1 y=2 x=3", "insmod /b.ko", "insmod /dm-raid.ko a=1 b=4"]
