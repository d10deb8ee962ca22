"""Runs as one `.zip` that another lab imports: `layout` says what is inside, `write` makes it, `read` believes nothing."""
