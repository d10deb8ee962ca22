"""Take away and give: everything a run can be written as, and the way back in. `formats.py` is the list."""
