"""One setting of a configuration by its name, read and changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cookie.config import Config
from cookie.errors import UserError


def changed(config: Config, setting: str, value: float) -> Config:
    """Return ``config`` with another value of ``setting``, as ``part.field``.

    Raises:
        UserError: there is no such setting, or it is no number; or it is a whole number and
            ``value`` is none.
    """
    now, (part, _, name) = number(config, setting), setting.partition(".")
    if isinstance(now, int) and not float(value).is_integer():  # so are nan and the infinities
        raise UserError(f"{setting} cannot be {value:g}: give whole numbers.")
    parts: dict[str, Any] = {part: replace(getattr(config, part), **{name: type(now)(value)})}
    return replace(config, **parts)


def number(config: Config, setting: str) -> float:
    """Return the value of ``setting``, as ``part.field``.

    Raises:
        UserError: there is no such setting, or it is no number.
    """
    part, _, name = setting.partition(".")
    value = getattr(getattr(config, part, None), name, None)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UserError(f"{setting} is no number in the configuration, as train.learning_rate is.")
    return value
