"""One module a command or a few that share their imports; `lab.cli.app` loads the one that is asked for."""
