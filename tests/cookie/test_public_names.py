"""What ``import cookie`` offers, and what it does not load."""

from __future__ import annotations

import subprocess
import sys

import pytest

import cookie
from cookie.model import Cookie
from cookie.retrieval.topk import topk


@pytest.mark.parametrize("name", cookie.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert callable(getattr(cookie, name))


def test_they_are_the_ones_of_their_modules() -> None:
    assert cookie.Cookie is Cookie
    assert cookie.topk is topk


def test_other_names_are_refused_as_by_any_module() -> None:
    with pytest.raises(AttributeError, match="no attribute 'no_such_name'"):
        cookie.no_such_name  # noqa: B018 -- asking is the test


def test_importing_the_package_imports_no_torch() -> None:
    code = "import sys, cookie; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
