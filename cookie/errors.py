"""Errors that a user can mend, each said in one sentence that names the thing and the mend."""

import codecs
import difflib
import errno
import io
import os
import sys
from collections.abc import Callable, Iterable
from typing import NoReturn

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What the system says of a disk, or of a share of it, that takes no more."""


class UserError(Exception):
    """A mistake in the input, not in the program: shown as one sentence, exit code 2."""


class DataError(UserError):
    """A data set that is missing, incomplete or broken."""


def is_text(string: str) -> bool:
    """Return whether ``string`` has whole characters alone: JSON and file names may have halves."""
    try:
        string.encode()
    except UnicodeEncodeError:
        return False
    return True


def unknown(kind: str, name: str, known: Iterable[str], more: str = "") -> UserError:
    """Return the error for an unknown ``name`` of a ``kind``, suggesting the nearest known one.

    Where none is near all are listed, and ``more`` says what else there might be.
    """
    names = sorted(known)
    nearest = difflib.get_close_matches(name, names, n=1)
    hint = (
        f"did you mean '{nearest[0]}'?" if nearest else f"choose one of: {', '.join(names)}{more}."
    )
    return UserError(f"Unknown {kind} '{name}': {hint}")


def one_line(text: object) -> str:
    """Return what an error or a sentence says on one line, whatever names or values it quotes."""
    return " ".join(str(text).split())


def _as_bytes_or_escaped(error: UnicodeError) -> tuple[str | bytes, int]:
    """Print the bytes of a name that is no text as they are; escape what is not even that."""
    try:
        return codecs.lookup_error("surrogateescape")(error)
    except UnicodeError:
        return codecs.lookup_error("backslashreplace")(error)


_ANY_NAME = "cookie.any_name"
codecs.register_error(_ANY_NAME, _as_bytes_or_escaped)


def run_main(main: Callable[[], None]) -> None:
    """Run a command's ``main``; a :class:`UserError` becomes one sentence and exit code 2.

    So does what the system says of a file, such as a name that is too long, or of a full disk.
    Ctrl-C exits with 130, and a reader that has gone, as ``head`` does, with 1. What is printed may
    hold any name that a file can have.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors=_ANY_NAME)
    try:
        main()
        sys.stdout.flush()
    except UserError as error:
        _stop(str(error))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left goes there
        raise SystemExit(1) from None
    except OSError as error:
        if error.filename is None and error.errno not in FULL:
            raise
        _stop(_of_file(error))
    except KeyboardInterrupt:
        print("interrupted: finished cells are kept; run the command again.", file=sys.stderr)
        raise SystemExit(130) from None


def _of_file(error: OSError) -> str:
    if error.errno in FULL:
        file = "a file" if error.filename is None else f"'{error.filename}'"
        return f"no space left while writing {file}: free some."
    return f"'{error.filename}' cannot be used ({error.strerror}): name another, or mend it."


def _stop(sentence: str) -> NoReturn:
    print(f"error: {' '.join(sentence.splitlines())}", file=sys.stderr)  # names may hold breaks
    raise SystemExit(2) from None
