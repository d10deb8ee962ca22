"""The command line: `lab.cli.app` is the program, `lab.cli.commands` holds the commands."""
