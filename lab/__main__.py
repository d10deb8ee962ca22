"""`python -m lab`: the shell."""

from lab.cli.app import main

if __name__ == "__main__":
    main()
