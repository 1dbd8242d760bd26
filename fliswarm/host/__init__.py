"""A node's operating system: the protocol, ssh, and its in-memory twin."""

from fliswarm.host.protocol import Host, Reach

__all__ = ["Host", "Reach"]
