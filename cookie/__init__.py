"""COOKIE: a dual-stream image-text model with a weight-sharing transformer on top."""
