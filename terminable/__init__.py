"""
Ends any Twisted server on demand, politely or at once.
"""

from __future__ import annotations

from terminable.asking import whenDraining
from terminable.errors import (
    CannotAttach,
    HandoverFailed,
    InvalidOption,
    NotServing,
    QueueFull,
    TerminableError,
    Unreachable,
    UpgradeRefused,
)
from terminable.generation import Generation
from terminable.interfaces import (
    ICounted,
    IDrainer,
    IDrainWatch,
    IHintingDrainer,
    ILastingDrainer,
    IRefusal,
    ITerminationObserver,
)
from terminable.policy.admission import Admission
from terminable.policy.ledger import Outcome, Report, State
from terminable.policy.limits import Limit
from terminable.policy.phases import Phase
from terminable.policy.schedule import Schedule
from terminable.progress import watch
from terminable.service import TerminableService
from terminable.terminator import Terminator
from terminable.tracking.connection import Connection
from terminable.tracking.factory import TerminableFactory, TerminableProtocol

__all__ = [
    "Admission",
    "CannotAttach",
    "Connection",
    "Generation",
    "HandoverFailed",
    "ICounted",
    "IDrainWatch",
    "IDrainer",
    "IHintingDrainer",
    "ILastingDrainer",
    "IRefusal",
    "ITerminationObserver",
    "InvalidOption",
    "Limit",
    "NotServing",
    "Outcome",
    "Phase",
    "QueueFull",
    "Report",
    "Schedule",
    "State",
    "TerminableError",
    "TerminableFactory",
    "TerminableProtocol",
    "TerminableService",
    "Terminator",
    "Unreachable",
    "UpgradeRefused",
    "watch",
    "whenDraining",
]

__version__ = "0.1.0"
