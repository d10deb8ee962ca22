"""Exit codes of worker processes that mean something to whoever started them."""

LATER = 75  # EX_TEMPFAIL of sysexits.h: the run is not over, and another worker may go on with it
