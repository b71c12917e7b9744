"""Other people's models behind this suite's interfaces; their libraries are imported late."""
