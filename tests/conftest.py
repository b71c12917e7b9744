"""Two test workers share two cores: one thread each, or they get in one another's way."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is imported, which is later
