"""The nouns: what a fleet should be, what is seen of it, what happens. Nothing acts."""

from fliswarm.model.desired import (
    CERTIFICATE_DAYS,
    LABEL_NODE,
    LABEL_SPEC,
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
    ContainerDetail,
    EngineInfo,
    Image,
    NodeStatus,
    Observation,
    Pulled,
    PullProgress,
)
from fliswarm.model.printed import Executed, Printed

__all__ = [
    "CERTIFICATE_DAYS",
    "LABEL_NODE",
    "LABEL_SPEC",
    "ActorSettings",
    "Container",
    "ContainerDetail",
    "ContainerSpec",
    "EngineInfo",
    "Executed",
    "Fleet",
    "Image",
    "Limits",
    "Node",
    "NodeStatus",
    "Observation",
    "Power",
    "Printed",
    "PullProgress",
    "Pulled",
    "TlsFiles",
    "Volume",
]
