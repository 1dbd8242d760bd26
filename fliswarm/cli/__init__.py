"""The command line: the only place that prints for people."""

from fliswarm.cli.app import main

__all__ = ["main"]
