"""Exact search and honest retrieval metrics on embeddings and scores."""

from cookie.interfaces import TopK
from cookie.retrieval.matrices import EmbeddingError
from cookie.retrieval.metrics import DirectionMetrics, RetrievalMetrics
from cookie.retrieval.positives import GroundTruthError, Positives
from cookie.retrieval.recall import direction_metrics, evaluate, evaluate_scores
from cookie.retrieval.topk import topk

__all__ = [
    "DirectionMetrics",
    "EmbeddingError",
    "GroundTruthError",
    "Positives",
    "RetrievalMetrics",
    "TopK",
    "direction_metrics",
    "evaluate",
    "evaluate_scores",
    "topk",
]
