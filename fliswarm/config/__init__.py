"""The controller's file: read, checked, made into the desired fleet."""

from fliswarm.config.fleet import SYSTEM_CONFIG, find, load

__all__ = ["SYSTEM_CONFIG", "find", "load"]
