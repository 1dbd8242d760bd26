"""Entry point of the ``fliswarm`` program."""

from fliswarm.cli import main

if __name__ == "__main__":
    main()
