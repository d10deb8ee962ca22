"""`python -m lab.worker.supervisor [--warm]`: one supervisor process."""

import sys

from lab.worker.supervisor.launch import WARM
from lab.worker.supervisor.process import main

sys.exit(main(warm=WARM in sys.argv))
