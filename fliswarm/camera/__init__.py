"""A camera link: flicamera's JSON lines over TCP, kept alive and kept honest."""

from fliswarm.camera.link import CameraLink, Exchange, Outcome
from fliswarm.camera.message import Reply

__all__ = ["CameraLink", "Exchange", "Outcome", "Reply"]
