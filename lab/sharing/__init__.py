"""Export and import: the formats that runs are written in (`formats.py` lists them), and reading bundles."""
