"""Files are whole or not there."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from cookie.errors import UserError
from cookie.files import (
    home,
    remove_partial,
    replacing,
    require_folder,
    require_place,
    require_space,
    sha256,
    write_json,
)


def write_half(path: Path, error: BaseException) -> None:
    with replacing(path) as temporary:
        temporary.write_text("half")
        raise error


def test_a_file_takes_its_place_only_when_the_block_succeeds(tmp_path: Path):
    path = tmp_path / "new" / "file"
    with replacing(path) as temporary:
        temporary.write_text("one")
        assert not path.exists()
    assert path.read_text() == "one"
    with pytest.raises(ZeroDivisionError):
        write_half(path, ZeroDivisionError())
    assert path.read_text() == "one"
    assert list(path.parent.iterdir()) == [path]


def test_an_interrupt_leaves_nothing(tmp_path: Path):
    with pytest.raises(KeyboardInterrupt):
        write_half(tmp_path / "file", KeyboardInterrupt())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "full"), RuntimeError("I/O error: full (os error 28)")]
)
def test_a_full_disk_becomes_a_sentence(tmp_path: Path, error: Exception):
    with pytest.raises(UserError, match="No space left while writing"), replacing(tmp_path / "f"):
        raise error


@pytest.mark.parametrize(
    "error", [OSError(errno.EACCES, "no"), RuntimeError("something (os error 13)")]
)
def test_other_errors_pass(tmp_path: Path, error: Exception):
    with pytest.raises(type(error)), replacing(tmp_path / "f"):
        raise error


def test_a_real_limit_on_the_file_size_is_met_in_words(tmp_path: Path):
    """The system itself refuses the bytes here, inside safetensors' own writer."""
    program = (
        "import resource, sys, torch\n"
        "from pathlib import Path\n"
        "from cookie.errors import UserError\n"
        "from cookie.training.checkpoint import save_tensors\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try:\n"
        "    save_tensors(Path(sys.argv[1]), {'large': torch.zeros(100_000)})\n"
        "except UserError as error:\n"
        "    print(error)\n"
    )
    assert resource.getrlimit(resource.RLIMIT_FSIZE)
    path = tmp_path / "weights.safetensors"
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True
    )
    assert "No space left while writing" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_what_a_kill_left_goes_and_nothing_else(tmp_path: Path):
    script = (
        "import os, pathlib, sys; from cookie.files import replacing\n"
        "with replacing(pathlib.Path(sys.argv[1])) as part: part.touch(); os.kill(os.getpid(), 9)"
    )
    killed = subprocess.run([sys.executable, "-c", script, tmp_path / "file"], check=False)
    assert killed.returncode == -9
    (left,) = tmp_path.iterdir()
    kept = [tmp_path / name for name in (".hidden", "file", "file.partial")]
    for path in kept:
        path.touch()
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / left.name).touch()
    (tmp_path / ".tmpaB3xY9").touch()  # as safetensors names what it writes first
    remove_partial(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([*kept, tmp_path / "sub"])
    assert list((tmp_path / "sub").iterdir()) == [tmp_path / "sub" / left.name]
    remove_partial(tmp_path / "absent")


def test_json_and_checksum(tmp_path: Path):
    write_json(tmp_path / "facts.json", {"b": [1, 2.5], "a": "ü"})
    assert json.loads((tmp_path / "facts.json").read_text()) == {"a": "ü", "b": [1, 2.5]}
    expected = hashlib.sha256((tmp_path / "facts.json").read_bytes()).hexdigest()
    assert sha256(tmp_path / "facts.json") == expected


def test_a_place_is_tried_before_it_is_needed(tmp_path: Path):
    (tmp_path / "file").write_text("kept")
    require_place(tmp_path / "file")
    require_place(tmp_path / "new" / "deeper" / "file")
    for path, sentence in [
        (tmp_path, "is a folder: name a file in it"),
        (tmp_path / "file" / "x", r"file/x' cannot be written \(Not a directory\): name another"),
        (tmp_path / ("x" * 250), r"cannot be written \(File name too long\)"),
        (Path("/proc/x"), r"'/proc/x' cannot be written"),
    ]:
        with pytest.raises(UserError, match=sentence):
            require_place(path)
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]
    assert (tmp_path / "file").read_text() == "kept"


def test_a_folder_to_write_to_is_there_or_can_be_made(tmp_path: Path):
    require_folder(tmp_path, "--to")
    require_folder(tmp_path / "a" / "b", "--to")
    require_folder(Path(), "--to")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("below", ["file", "file/a", "file/a/b", "dangling", "dangling/a"])
def test_what_is_no_folder_is_named(tmp_path: Path, below: str):
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to(tmp_path / "absent")
    name = re.escape(str(tmp_path / Path(below).parts[0]))
    with pytest.raises(UserError, match=f"^'{name}' is no folder, .*: mend --to"):
        require_folder(tmp_path / below, "--to")


def test_a_folder_that_one_may_not_write_to_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)  # root may always
    name = re.escape(str(tmp_path))
    with pytest.raises(UserError, match=f"^'{name}' cannot be written to: .* with --to"):
        require_folder(tmp_path / "a" / "b", "--to")


def test_space_is_asked_for_in_bytes(tmp_path: Path):
    require_space(tmp_path / "cache", 1)
    with pytest.raises(UserError, match=rf"cache' needs {10**18} bytes and has \d+ free"):
        require_space(tmp_path / "cache", 10**18)


def test_home_follows_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("COOKIE_HOME", raising=False)
    assert home() == Path(".cookie")
    monkeypatch.setenv("COOKIE_HOME", "/elsewhere")
    assert home() == Path("/elsewhere")


LEAVE = """
import os, pathlib, sys
from cookie.files import replacing
with replacing(pathlib.Path(sys.argv[1])) as part:
    part.touch()
    {then}
"""


def writer(path: Path, then: str) -> subprocess.Popen[str]:
    """Return a process that writes ``path`` and does something before it is done."""
    command = [sys.executable, "-c", LEAVE.format(then=then), str(path)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_what_a_killed_process_left_goes_when_the_next_one_writes(tmp_path: Path):
    killed = writer(tmp_path / "pixels", "os.kill(os.getpid(), 9)")
    killed.communicate()
    (left,) = tmp_path.iterdir()
    kept = tmp_path / ".mine.partial"
    kept.touch()
    with replacing(tmp_path / "other") as part:
        part.touch()
        assert not left.exists()
    assert sorted(tmp_path.iterdir()) == [kept, tmp_path / "other"]


def test_what_another_process_is_writing_stays(tmp_path: Path):
    busy = writer(tmp_path / "pixels", "print(flush=True); input()")
    assert busy.stdout is not None
    busy.stdout.readline()
    (unfinished,) = tmp_path.iterdir()
    with replacing(tmp_path / "other") as part:
        part.touch()
        write_json(tmp_path / "within", {})
        assert unfinished.exists()
    assert unfinished.exists()
    busy.communicate("\n")
    assert busy.returncode == 0
    assert {path.name for path in tmp_path.iterdir()} == {"pixels", "other", "within"}
