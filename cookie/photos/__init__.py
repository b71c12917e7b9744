"""A folder of photographs: as a corpus, as a gallery, and what was found in it on a sheet."""
