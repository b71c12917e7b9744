"""What can be wrong with embeddings and scores, each said in one sentence."""

from __future__ import annotations

from cookie.errors import UserError


class EmbeddingError(UserError, ValueError):
    """Embeddings or scores that cannot be ranked: wrong shape, not finite, or all zero."""
