"""One module a table: which cells it needs and how they are laid out."""
