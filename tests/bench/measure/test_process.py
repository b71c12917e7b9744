"""A process of its own: result, failure, death, and a known allocation in its peak memory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.measure import process
from bench.measure.process import ProcessError, peak_rss_bytes, run_in_fresh_process
from tests.bench.measure import work

MIB = work.MIB
linux = pytest.mark.skipif(not process.STATUS.exists(), reason="needs Linux's /proc")


def test_the_result_comes_back_from_another_process() -> None:
    got = run_in_fresh_process(work.process_id)
    assert got.value != os.getpid()
    assert got.seconds >= 0
    assert run_in_fresh_process(work.add, 2, 3).value == 5


@linux
def test_a_known_allocation_shows_in_the_peak() -> None:
    got = run_in_fresh_process(work.hold, 256 * MIB)
    assert got.peak_rss_bytes is not None
    assert got.rss_before_bytes is not None
    added = got.peak_rss_bytes - got.rss_before_bytes
    assert 255 * MIB < added < 270 * MIB


@linux
def test_the_parents_memory_is_not_in_the_childs_peak() -> None:
    """What ``ru_maxrss`` gets wrong: it would show the parent's 512 MiB and more."""
    held = bytearray(b"x" * (512 * MIB))
    got = run_in_fresh_process(work.hold, 1)
    assert len(held) == 512 * MIB
    assert got.peak_rss_bytes is not None
    assert got.peak_rss_bytes < 256 * MIB


@linux
def test_the_peak_stays_when_memory_is_given_back() -> None:
    before = peak_rss_bytes()
    size = work.hold(64 * MIB)
    after = peak_rss_bytes()
    assert size == 64 * MIB
    assert before is not None
    assert after is not None
    assert after >= before


def test_a_failure_is_raised_with_what_it_said() -> None:
    with pytest.raises(ProcessError, match="LookupError: no such thing") as raised:
        run_in_fresh_process(work.fail, "no such thing")
    assert "fail raised in its process" in str(raised.value)


def test_a_death_is_raised_with_its_exit_code() -> None:
    with pytest.raises(ProcessError, match="die ended with exit code 9"):
        run_in_fresh_process(work.die)


def test_overtime_is_ended() -> None:
    with pytest.raises(ProcessError, match=r"did not end within 0\.2 s"):
        run_in_fresh_process(work.wait, 600.0, timeout_s=0.2)


@linux
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_process_ends_with_its_parent(how: signal.Signals, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    code = (
        # Of a suite in the background the shell has interrupts ignored, and children inherit it.
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from bench.measure.process import run_in_fresh_process; "
        "from tests.bench.measure import work; "
        f"run_in_fresh_process(work.note_and_wait, {str(note)!r})"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    until(lambda: note.exists() and note.read_text() != "")
    parent.send_signal(how)
    parent.wait(timeout=60)
    until(lambda: not Path("/proc", note.read_text()).exists())


def until(holds: Callable[[], bool]) -> None:
    """Wait for it; give up after a minute."""
    for _ in range(600):
        if holds():
            return
        time.sleep(0.1)
    raise AssertionError("it never came to hold")


def test_where_no_peak_can_be_read_there_is_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(process, "STATUS", tmp_path / "absent")
    monkeypatch.setattr(sys, "platform", "plan9")
    assert peak_rss_bytes() is None
    got = process._measured(work.add, (1, 1))
    assert (got.value, got.peak_rss_bytes) == (2, None)
    assert got.reason == "no peak memory to be read on plan9"


def test_a_status_without_a_peak_gives_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    status = tmp_path / "status"
    monkeypatch.setattr(process, "STATUS", status)
    status.write_text("Name:\tpython\nVmRSS:\t 5 kB\n")
    assert peak_rss_bytes() is None
    status.write_text("Name:\tpython\nVmHWM:\t    5 kB\n")
    assert peak_rss_bytes() == 5 * 1024


def test_a_result_goes_to_json() -> None:
    got = process._measured(work.add, (1, 1)).to_dict()
    assert json.loads(json.dumps(got)).keys() == {
        "seconds",
        "peak_rss_bytes",
        "rss_before_bytes",
        "reason",
    }


def test_importing_it_does_not_import_torch() -> None:
    """Or every process's peak would hold torch, whatever it measures."""
    code = "import sys, bench.measure.process; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
