"""Runs as one `.zip` that another lab can import: `layout` defines the format, `write` exports, `read` imports."""
