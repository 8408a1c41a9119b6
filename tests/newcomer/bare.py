# SPDX-License-Identifier: GPL-2.0-or-later
"""A Debian that holds nothing but what debootstrap's smallest variant has, and a checkout."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from kdump_initrd.core.run import Result, run
from tests.vm.cached import cache, making
from tests.vm.rootfs import GUEST, SUITE
from tests.vm.suites import mirror
from tests.vm.tools import tool

REPO = Path(__file__).resolve().parents[2]
_OVERLAY = REPO / "tests/packaging/enter-overlay"
#: How this host reaches packages is not a part of what is tested: names of servers and proxies,
#: certificates, and which packages' words apt is to believe.
_NETWORK = (
    "etc/resolv.conf",
    "etc/hosts",
    "etc/pip.conf",
    "etc/apt/apt.conf.d/99artifact-registry",
)
#: Its certificates, under a name that no package of the root takes for its own.
_CERTIFICATES = ("etc/ssl/certs/ca-certificates.crt", "etc/ssl/certs/of-this-host.pem")
_ENVIRONMENT = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "http_proxy", "https_proxy")
_GIT = ("git", "-c", "safe.directory=*")
#: Nobody is there who could be asked.
_ANSWERS = 'APT::Get::Assume-Yes "true";\nDPkg::Options { "--force-confnew"; };\n'


def debian() -> Path:
    """Return the bare root of the cache, made if it is not there; it is not to be written."""
    root = cache() / f"bare-{SUITE}"
    with making(root) as missing:
        if missing:
            fresh = root.with_name(f"{root.name}.new")
            shutil.rmtree(fresh, ignore_errors=True)
            argv: list[str | Path] = [
                tool("debootstrap"),
                "--variant=minbase",
                SUITE,
                fresh,
                mirror(),
            ]
            run(argv, timeout=900)
            fresh.rename(root)
    return root


@dataclass(frozen=True)
class Machine:
    """One bare Debian: what changes is in ``state``, and ``out`` is its /mnt, with a checkout."""

    state: Path
    out: Path

    def prepare(self) -> None:
        """Clone the checkout, with what is not committed yet, and copy what the network wants."""
        (self.out / "tmp").mkdir()
        (self.out / "tmp").chmod(0o1777)  # apt's own user writes there, too
        clone = self.out / "kdump-initrd"
        run([*_GIT, "clone", "--quiet", "--no-local", REPO, clone], timeout=60)
        listing = ("ls-files", "-z", "--modified", "--others", "--exclude-standard")
        for name in run([*_GIT, "-C", REPO, *listing], timeout=60).stdout.decode().split("\0"):
            if name and (REPO / name).exists():
                (clone / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(REPO / name, clone / name)
        upper = self.state / "upper"
        for name in filter(lambda name: Path("/", name).is_file(), _NETWORK):
            (upper / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(Path("/", name), upper / name)
        if Path("/", _CERTIFICATES[0]).is_file():
            (upper / _CERTIFICATES[1]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(Path("/", _CERTIFICATES[0]), upper / _CERTIFICATES[1])
        answers = upper / "etc/apt/apt.conf.d/99answers"
        answers.parent.mkdir(parents=True, exist_ok=True)
        answers.write_text(_ANSWERS)

    def type(self, line: str, *, timeout: float) -> Result:
        """Run a line in the checkout, as a person at a shell; its status is not looked at."""
        words = [str(tool("unshare")), "--mount", "--pid", "--fork", "--kill-child"]
        words += map(str, (_OVERLAY, GUEST / "enter", debian(), self.state, self.out))
        kept = [f"{name}={os.environ[name]}" for name in _ENVIRONMENT if name in os.environ]
        words += ["env", "-i", "HOME=/root", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", *kept]
        words += ["DEBIAN_FRONTEND=noninteractive", f"PIP_CERT=/{_CERTIFICATES[1]}"]
        # Overlays that tests make cannot keep their changes on one, as / is here.
        script = f"mount --bind /mnt/tmp /tmp; cd /mnt/kdump-initrd; {line}"
        return run([*words, "sh", "-ec", script], timeout=timeout, check=False)
