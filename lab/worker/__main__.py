"""`python -m lab.worker`: one worker process."""

import sys

from lab.worker.loop import main

sys.exit(main())
