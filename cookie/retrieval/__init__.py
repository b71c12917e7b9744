"""Exact search and honest retrieval metrics on embeddings and scores."""
