"""Pages around the tables: guide, headline, provenance, searches, benchmarks."""
