"""Runs as one `.zip` that another lab imports: `layout` says what is inside, `write` creates it, `read` checks everything."""
