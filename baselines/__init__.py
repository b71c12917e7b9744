"""What COOKIE is measured against: plain dual-stream, single-stream, two-stage, a ridge floor."""
