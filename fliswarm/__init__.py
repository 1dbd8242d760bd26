"""Runs a fleet of instrument computers as one."""

__version__ = "1.0.0a1"
