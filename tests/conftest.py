"""What every test runs under: the environment of a worker, set before anything imports torch."""

import os

from lab.settings import PROCESS_ENVIRONMENT

for name, value in PROCESS_ENVIRONMENT.items():
    os.environ.setdefault(name, value)
