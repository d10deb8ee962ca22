"""Runs as one `.zip` that another lab takes in: `layout` says what is inside, `write` makes it, `read` believes nothing."""
