"""The nouns: what a fleet should be, what is seen of it, what happens. Nothing acts."""

from fliswarm.model.desired import (
    CERTIFICATE_DAYS,
    LABEL_NODE,
    LABEL_SPEC,
    USB_BUS,
    ActorSettings,
    ContainerSpec,
    Fleet,
    Limits,
    Node,
    Power,
    TlsFiles,
    Volume,
)
from fliswarm.model.observed import (
    Container,
    Foreign,
    ForeignVolume,
    Image,
    NodeStatus,
    Observation,
    Pulled,
    PullProgress,
)

__all__ = [
    "CERTIFICATE_DAYS",
    "LABEL_NODE",
    "LABEL_SPEC",
    "USB_BUS",
    "ActorSettings",
    "Container",
    "ContainerSpec",
    "Fleet",
    "Foreign",
    "ForeignVolume",
    "Image",
    "Limits",
    "Node",
    "NodeStatus",
    "Observation",
    "Power",
    "PullProgress",
    "Pulled",
    "TlsFiles",
    "Volume",
]
