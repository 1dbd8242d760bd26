"""The controller's file: read, checked, made into the desired fleet."""

from fliswarm.config.file import SYSTEM_CONFIG, find, socket
from fliswarm.config.fleet import load, read_text

__all__ = ["SYSTEM_CONFIG", "find", "load", "read_text", "socket"]
