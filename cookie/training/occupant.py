"""Whose folder it is where no checkpoint says so: another run's weights must not be overwritten."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cookie.config import Config, decisive
from cookie.errors import UserError
from cookie.training.checkpoint import read_facts
from cookie.training.identity import Stage

IDENTITY = "identity"
_BEST, _RESULT = "best", "result"


def taken(folder: Path) -> UserError:
    """Return the error for a folder that holds another run than the one to be trained."""
    return UserError(
        f"'{folder}' holds a run with other settings, data or seed: choose another "
        "folder or delete it."
    )


def require_own(folder: Path, identity: str, config: Config, seed: int, stage: Stage) -> None:
    """Raise unless the weights in ``folder``, if there are any, are of the run of ``identity``.

    Checkpoints say it by themselves; this is for a folder that has lost them, or that was left
    between its first weights and its first checkpoint. Weights that were kept before they told
    of an identity are known by their settings, seed and stage.

    Raises:
        UserError: they are of another run, or a finished run is there without its weights.
    """
    if (folder / f"{_BEST}.json").is_file():
        facts = read_facts(folder, _BEST)
        same = facts.get(IDENTITY, identity) == identity and _is_like(facts, config, seed, stage)
    else:
        finished = (folder / f"{_RESULT}.json").is_file()
        same = not finished or read_facts(folder, _RESULT).get(IDENTITY) == identity
    if not same:
        raise taken(folder)


def _is_like(facts: Mapping[str, Any], config: Config, seed: int, stage: Stage) -> bool:
    own = stage.facts()
    told = {key: facts[key] for key in ("stage", "start") if key in facts}
    settings = facts.get("config")
    known = isinstance(settings, dict) and decisive(settings) == config.decisive()
    return known and facts.get("seed") == seed and told == own
