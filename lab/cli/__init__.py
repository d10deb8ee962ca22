"""The shell, one module a group of verbs; `lab.cli.app` joins them."""
