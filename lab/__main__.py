"""`python -m lab`: the shell."""

from lab.cli import main

if __name__ == "__main__":
    main()
