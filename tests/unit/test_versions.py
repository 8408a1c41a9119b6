# SPDX-License-Identifier: GPL-2.0-or-later
"""The order of kernel releases, held against the package managers' own programs."""

from __future__ import annotations

import itertools
import json
import random
import subprocess
from pathlib import Path

import pytest

from kdump_initrd.core.resources import search_path
from kdump_initrd.core.root import Root
from kdump_initrd.probe.distro.profiles import load
from kdump_initrd.probe.kernel import releases as kernel
from kdump_initrd.probe.kernel import versions

#: Oldest first.
RPM = [
    "5.14.0-70.el9.x86_64", "5.14.0-427.el9.x86_64", "5.14.0-427.13.1.el9_4.x86_64",
    "5.14.0-427.16.1.el9_4.x86_64", "5.14.0-503.el9.x86_64", "6.1-200.fc37.x86_64",
    "6.1.5-100.fc37.x86_64", "6.4.0-150600.21-default", "6.4.0-150600.23.7-default",
    "6.7.0-0.rc1.20231116git.18.fc40", "6.7.0-0.rc2.19.fc40", "6.7.0-68.fc40",
    "6.9.0", "6.10.0-rc1", "6.10.0-rc2+", "6.10.0", "6.10.1",
]  # fmt: skip
DEBIAN = [
    "5.10.0-9-amd64", "5.10.0-28-amd64", "6.1.0-9-amd64", "6.1.0-13-amd64", "6.12~rc5-amd64",
    "6.12~rc6-amd64", "6.12.3-amd64", "6.12.12+bpo-amd64", "6.12.12-1-amd64", "6.13-rc1", "6.13",
]  # fmt: skip


@pytest.mark.parametrize(("order", "releases"), [("rpm", RPM), ("dpkg", DEBIAN)])
def test_oldest_first(order: str, releases: list[str]) -> None:
    shuffled = random.Random(1).sample(releases, len(releases))
    assert versions.oldest_first(shuffled, order=order) == releases


@pytest.mark.parametrize(("profile", "releases"), [("rhel", RPM), ("debian", DEBIAN)])
def test_the_newest_kernel_of_a_root(tmp_path: Path, profile: str, releases: list[str]) -> None:
    layout = load(
        profile, search_path=search_path("distros", root=Root(tmp_path)), root=Root()
    ).kernel
    for release in reversed(releases):
        (tmp_path / "lib/modules" / release).mkdir(parents=True)
    assert kernel.releases(root=Root(tmp_path), layout=layout) == releases


def test_what_is_as_new_has_an_order_of_its_own() -> None:
    """Whichever comes first from the disk."""
    for releases in itertools.permutations(["6.1-01-x", "6.1-1-x", "6.1-001-x"]):
        assert versions.oldest_first(releases, order="rpm") == ["6.1-001-x", "6.1-01-x", "6.1-1-x"]


def pairs(alphabet: str, count: int) -> list[tuple[str, str]]:
    """Return texts that mostly differ in a character or two, always the same ones."""
    dice = random.Random(count)
    found = []
    for _ in range(count):
        one = "".join(dice.choices(alphabet, k=dice.randrange(12)))
        at = dice.randrange(len(one) + 1)
        two = one[:at] + "".join(dice.choices(alphabet, k=dice.randrange(3)))
        found.append((one, two + one[at + dice.randrange(3) :]))
    return found


def test_rpm_orders_them_so() -> None:
    """Version and release, by python3-rpm of this machine's own Python."""
    script = """
import json, rpm, sys
label = lambda text: ("0", *(text.split("-", 1) + [""])[:2])
pairs = json.load(sys.stdin)
print(json.dumps([rpm.labelCompare(label(one), label(two)) for one, two in pairs]))
"""
    named = [(f"1{one}", f"1{two}") for one, two in pairs("019aAbel~^+._-", 3000)]
    done = subprocess.run(["/usr/bin/python3", "-c", script], input=json.dumps(named), text=True,
                          capture_output=True, timeout=60, check=False)  # fmt: skip
    if "No module named 'rpm'" in done.stderr:
        pytest.skip("python3-rpm is not installed")
    assert done.returncode == 0, done.stderr
    found = [sign(versions.compare_rpm(*pair)) for pair in named]
    wanted = json.loads(done.stdout)
    assert [pair for pair, mine, other in zip(named, found, wanted) if mine != other] == []


def test_dpkg_orders_them_so() -> None:
    # A version begins with a digit, and a revision is not empty.
    named = [(f"1{one}", f"1{two}") for one, two in pairs("019aAbel~+.-", 150)]
    named = [pair for pair in named if not any(each.endswith("-") for each in pair)]
    for one, two in named:
        relation = {-1: "lt", 0: "eq", 1: "gt"}[sign(versions.compare_dpkg(one, two))]
        argv = ["dpkg", "--compare-versions", one, relation, two]
        done = subprocess.run(argv, capture_output=True, timeout=20, check=False)
        assert (done.returncode, done.stderr) == (0, b""), argv


def sign(number: int) -> int:
    return (number > 0) - (number < 0)


def test_numbers_that_are_too_long_for_an_integer() -> None:
    long, longer = "1" * 5000, "2" * 5000
    for compare in versions.ORDERS.values():
        assert compare(f"6.{long}", f"6.{longer}") < 0
        assert compare(f"6.0{long}", f"6.{long}") == 0
