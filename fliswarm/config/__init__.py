"""The controller's file: read, checked, made into the desired fleet."""

from fliswarm.config.file import SYSTEM_CONFIG, find, socket
from fliswarm.config.fleet import load

__all__ = ["SYSTEM_CONFIG", "find", "load", "socket"]
