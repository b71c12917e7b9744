"""What cells work with: data, models that answer, galleries and ground truths."""
