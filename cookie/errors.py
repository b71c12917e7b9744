"""Errors that a user can mend, each said in one sentence that names the thing and the mend."""

import difflib
import sys
from collections.abc import Callable, Iterable


class UserError(Exception):
    """A mistake in the input, not in the program: shown as one sentence, exit code 2."""


class DataError(UserError):
    """A data set that is missing, incomplete or broken."""


def unknown(kind: str, name: str, known: Iterable[str]) -> UserError:
    """Return the error for an unknown ``name`` of a ``kind``, suggesting the nearest known one."""
    names = sorted(known)
    nearest = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean '{nearest[0]}'?" if nearest else f"choose one of: {', '.join(names)}."
    return UserError(f"Unknown {kind} '{name}': {hint}")


def run_main(main: Callable[[], None]) -> None:
    """Run a command's ``main``; a :class:`UserError` becomes one sentence and exit code 2.

    A full disk is reported the same way, and Ctrl-C exits with 130; neither prints a traceback.
    """
    try:
        main()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except OSError as error:
        if error.errno != 28:  # ENOSPC
            raise
        print(f"error: no space left while writing '{error.filename}': free some.", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print("interrupted: finished cells are kept; run the command again.", file=sys.stderr)
        raise SystemExit(130) from None
