"""`python -m ctatlas` is the command line."""

from ctatlas.commands.app import main

if __name__ == "__main__":
    main()
