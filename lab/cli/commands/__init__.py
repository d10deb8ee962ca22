"""One module per command, or per few commands that share imports; `lab.cli.app` loads only the module it needs."""
