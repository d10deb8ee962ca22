"""Exit codes of worker processes that have a meaning for the parent process."""

LATER = 75  # EX_TEMPFAIL of sysexits.h: the run has not ended, and another worker may resume it
