# SPDX-License-Identifier: GPL-2.0-or-later
"""Work that may never end: what went wrong in it is told, and it is not waited for."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest

from kdump_initrd.saver import save as save_module
from kdump_initrd.saver.low.deadline import within
from kdump_initrd.saver.low.failure import SaverError
from kdump_initrd.saver.report import Report

from .running import save
from .samples import sample

pytestmark = pytest.mark.usefixtures("nothing_is_left_behind")


def test_what_is_done_is_done(tmp_path: Path) -> None:
    within(10, lambda: (tmp_path / "file").write_text("done"))
    assert (tmp_path / "file").read_text() == "done"


def test_what_goes_wrong_is_told(tmp_path: Path) -> None:
    with pytest.raises(SaverError) as caught:
        within(10, lambda: (tmp_path / "no/file").write_text("done"))
    assert str(caught.value) == f"{tmp_path}/no/file: No such file or directory"


def test_what_hangs_is_left() -> None:
    start = time.monotonic()
    with pytest.raises(SaverError) as caught:
        within(0.2, lambda: time.sleep(60))
    assert str(caught.value) == "the disk has not answered for 0.2 s"
    assert time.monotonic() - start < 10


def test_without_a_process_this_one_does_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_fork() -> int:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(os, "fork", no_fork)
    within(10, lambda: (tmp_path / "file").write_text("done"))
    assert (tmp_path / "file").read_text() == "done"


def test_a_report_that_hangs_does_not_hang_the_saver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    write = Report.write

    def hang(self: Report, *, last: bool = False) -> None:
        if last:
            time.sleep(60)
        write(self, last=last)

    def fail(*_: object, **__: object) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(save_module, "_PATIENCE", 0.2)
    monkeypatch.setattr(Report, "write", hang)
    monkeypatch.setattr("kdump_initrd.saver.formats.kdump.kdumpfile.KdumpWriter.finish", fail)
    done = save(tmp_path, sample()[0])
    assert (done.status, done.report["result"]) == (1, "incomplete")
    assert "error: report: the disk has not answered for 0.2 s\n" in capfd.readouterr().err
