"""COOKIE: a dual-stream image-text model with a weight-sharing transformer on top.

The names below come from the modules that :data:`_HOMES` says, imported when they are first asked
for: a command line that only shows its help does not wait for torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cookie.config import Config
    from cookie.data.catalog import load_dataset
    from cookie.model import Cookie
    from cookie.presets import preset
    from cookie.retrieval import RetrievalMetrics, TopK, evaluate, evaluate_scores, topk
    from cookie.runs import Run, load_run, newest_run

__all__ = [
    "Config",
    "Cookie",
    "RetrievalMetrics",
    "Run",
    "TopK",
    "evaluate",
    "evaluate_scores",
    "load_dataset",
    "load_run",
    "newest_run",
    "preset",
    "topk",
]

_HOMES = {
    "Config": "cookie.config",
    "Cookie": "cookie.model",
    "load_dataset": "cookie.data.catalog",
    "preset": "cookie.presets",
    **dict.fromkeys(("Run", "load_run", "newest_run"), "cookie.runs"),
    **dict.fromkeys(
        ("RetrievalMetrics", "TopK", "evaluate", "evaluate_scores", "topk"), "cookie.retrieval"
    ),
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 -- type checkers read the imports above
    """Import a public name from its home (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'cookie' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES[name]), name)
