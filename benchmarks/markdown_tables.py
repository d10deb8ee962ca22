"""Tables in Markdown, as benchmarks print them and docs/benchmarks.md shows them."""


def heading(*columns: str) -> str:
    """Return the first two lines of a table. Columns have the names that docs/benchmarks.md uses; a test compares."""
    return f"{row(*columns)}\n{'|---' * len(columns)}|"


def row(*cells: object) -> str:
    """Return one line of a table."""
    return f"| {' | '.join(map(str, cells))} |"
