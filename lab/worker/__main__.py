"""`python -m lab.worker [SLOT/SLOTS]`: one worker process."""

import sys

from lab.worker.loop import main

sys.exit(main(sys.argv[1:]))
