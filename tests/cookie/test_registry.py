"""What is registered is found, also by the modules that the environment names."""

from __future__ import annotations

from pathlib import Path

import pytest

from cookie.errors import UserError
from cookie.registry import Registry


def test_a_module_that_is_named_is_imported_for_what_is_not_there_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_system.py").write_text(
        "from bench.systems import System, register\n"
        "register(System('own', 'mine', 'dual', 'P', kinds=('train',)))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    from bench.systems import systems

    monkeypatch.setattr(systems, "_entries", dict(systems._entries))
    assert "own" not in systems
    monkeypatch.setenv("COOKIE_MODULES", "json, own_system,")
    assert systems["own"].label == "mine"
    assert list(systems)[-1] == "own"  # a second time nothing is registered twice


@pytest.mark.parametrize("name", ["no_such_module", "no_such.module", "json.no_such"])
def test_a_module_that_is_not_there_is_told(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COOKIE_MODULES", name)
    with pytest.raises(UserError, match=f"COOKIE_MODULES names '{name}', which cannot be imported"):
        Registry[int]("thing")["one"]


def test_what_a_module_itself_lacks_is_not_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lacking.py").write_text("import no_such_module")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("COOKIE_MODULES", "lacking")
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        list(Registry[int]("thing"))


def test_one_name_is_registered_once() -> None:
    things = Registry[int]("thing")
    things.register("one")(1)
    with pytest.raises(ValueError, match="thing 'one' is registered twice"):
        things.register("one")(2)
