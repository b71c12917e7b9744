"""What ``python -m cookie`` does, one module for each sort of command."""
