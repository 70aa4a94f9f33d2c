"""
Ends any Twisted server on demand, politely or at once.

Public names are found when they are first asked for: importing this package alone loads next
to nothing.
"""

from __future__ import annotations

# What type checkers take for true; to import it from typing would cost more than all the rest.
TYPE_CHECKING = False

if TYPE_CHECKING:
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

#: C{public name: the module that defines it}.
_HOMES = {
    "Admission": "policy.admission",
    "CannotAttach": "errors",
    "Connection": "tracking.connection",
    "Generation": "generation",
    "HandoverFailed": "errors",
    "ICounted": "interfaces",
    "IDrainWatch": "interfaces",
    "IDrainer": "interfaces",
    "IHintingDrainer": "interfaces",
    "ILastingDrainer": "interfaces",
    "IRefusal": "interfaces",
    "ITerminationObserver": "interfaces",
    "InvalidOption": "errors",
    "Limit": "policy.limits",
    "NotServing": "errors",
    "Outcome": "policy.ledger",
    "Phase": "policy.phases",
    "QueueFull": "errors",
    "Report": "policy.ledger",
    "Schedule": "policy.schedule",
    "State": "policy.ledger",
    "TerminableError": "errors",
    "TerminableFactory": "tracking.factory",
    "TerminableProtocol": "tracking.factory",
    "TerminableService": "service",
    "Terminator": "terminator",
    "Unreachable": "errors",
    "UpgradeRefused": "errors",
    "watch": "progress",
    "whenDraining": "asking",
}


# Type checkers would take it for a promise that any name is there.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """
        Import what is asked for, and have it at hand from then on.

        @raise AttributeError: there is no such name.
        """
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        found = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        return found


def __dir__() -> list[str]:
    """
    @return: what is there, and what would be.
    """
    return sorted({*globals(), *__all__})
