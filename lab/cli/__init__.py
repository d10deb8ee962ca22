"""The command line; `lab.cli.app` is the program, `lab.cli.commands` has a module for each command or a few."""
