"""What a command's end looks like: a sentence and a code, whatever went wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cookie.errors import UserError, run_main


def failing(error: BaseException) -> Callable[[], None]:
    def main() -> None:
        raise error

    return main


def ended(main: Callable[[], None], capsys: pytest.CaptureFixture[str]) -> tuple[object, str]:
    with pytest.raises(SystemExit) as stop:
        run_main(main)
    found = capsys.readouterr()
    assert found.out == ""
    assert found.err.count("\n") == 1
    return stop.value.code, found.err.strip()


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (UserError("Mend it."), 2, "error: Mend it."),
        (UserError("No 'a\nb\r' here."), 2, "error: No 'a b ' here."),
        (OSError(28, "No space left on device", "a"), 2, "no space left while writing 'a'"),
        (OSError(28, "No space left on device"), 2, "no space left while writing a file: free"),
        (OSError(122, "Disk quota exceeded"), 2, "no space left while writing a file: free"),
        (OSError(122, "Disk quota exceeded", "a"), 2, "no space left while writing 'a'"),
        (OSError(27, "File too large"), 2, "no space left while writing a file: free some"),
        (OSError(36, "File name too long", "aaa"), 2, "'aaa' cannot be used (File name too long)"),
        (PermissionError(13, "Permission denied", "a"), 2, "'a' cannot be used (Permission denied"),
        (KeyboardInterrupt(), 130, "finished cells are kept"),
    ],
)
def test_errors_are_one_sentence(
    error: BaseException, code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found, sentence = ended(failing(error), capsys)
    assert found == code
    assert words in sentence


@pytest.mark.parametrize("error", [ValueError("a bug"), OSError("of no file"), AssertionError()])
def test_mistakes_of_the_program_are_not_hidden(error: Exception) -> None:
    with pytest.raises(type(error)):
        run_main(failing(error))


def test_a_real_name_that_is_too_long(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, sentence = ended((tmp_path / ("x" * 300)).touch, capsys)
    assert code == 2
    assert "xxx" in sentence


def test_what_goes_well_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    run_main(lambda: print("well"))
    assert capsys.readouterr().out == "well\n"


@pytest.mark.parametrize("lines", [1, 100_000])
def test_a_reader_that_has_gone_is_no_error(lines: int) -> None:
    """As ``head`` goes when it has what it wants."""
    script = f"from cookie.errors import run_main\nrun_main(lambda: print('line\\n' * {lines}))"
    writer = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    assert writer.stderr is not None
    writer.stdout.close()
    with writer.stderr as errors:
        said = errors.read()
    assert writer.wait(60) == 1
    assert said == ""


@pytest.mark.parametrize(
    ("encoding", "printed"),
    [
        ("utf-8:strict", b"caf\xe9 \xc3\xa9 \n\\ud83d\n"),
        ("ascii:strict", b"caf\xe9 \\xe9 \n\\ud83d\n"),
    ],
)
def test_any_name_can_be_printed(encoding: str, printed: bytes) -> None:
    """A file's name in another encoding comes out as its own bytes where the terminal allows."""
    program = (
        "from cookie.errors import run_main\n"
        "run_main(lambda: print('caf\\udce9 \\xe9', '\\n\\ud83d', sep=' '))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        check=True,
        env=os.environ | {"PYTHONIOENCODING": encoding},
    )
    assert done.stdout == printed
