"""Texts of the pages as a reader sees them: without the escapes of Markdown, and with plain spaces."""

PLAIN = str.maketrans({"\\": None, "\u00a0": " "})  # for str.translate
