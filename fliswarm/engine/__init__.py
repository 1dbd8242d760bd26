"""A node's Docker Engine: the protocol, the real one, and its in-memory twin."""

from fliswarm.engine.protocol import Connect, Engine

__all__ = ["Connect", "Engine"]
