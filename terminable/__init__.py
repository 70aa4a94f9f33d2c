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
    TerminableError,
    UpgradeRefused,
)
from terminable.generation import Generation
from terminable.interfaces import (
    IDrainer,
    IDrainWatch,
    IHintingDrainer,
    ILastingDrainer,
    ITerminationObserver,
)
from terminable.policy.ledger import Outcome, Report, State
from terminable.policy.phases import Phase
from terminable.policy.schedule import Schedule
from terminable.progress import watch
from terminable.service import TerminableService
from terminable.terminator import Terminator
from terminable.tracking.connection import Connection
from terminable.tracking.factory import TerminableFactory, TerminableProtocol

__all__ = [
    "CannotAttach",
    "Connection",
    "Generation",
    "HandoverFailed",
    "IDrainWatch",
    "IDrainer",
    "IHintingDrainer",
    "ILastingDrainer",
    "ITerminationObserver",
    "InvalidOption",
    "NotServing",
    "Outcome",
    "Phase",
    "Report",
    "Schedule",
    "State",
    "TerminableError",
    "TerminableFactory",
    "TerminableProtocol",
    "TerminableService",
    "Terminator",
    "UpgradeRefused",
    "watch",
    "whenDraining",
]

__version__ = "0.1.0"
