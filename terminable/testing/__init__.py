"""
What helps to test servers: real ones that a test starts and that leave nothing behind, clients
that notice every request that is dropped, and servers without a socket.

Nothing in C{terminable} needs this package, and importing it loads next to nothing: each name
is found when it is first asked for.
"""

from __future__ import annotations

# What type checkers take for true; to import it from typing would cost more than all the rest.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from terminable.testing.blocking import BlockingServer
    from terminable.testing.dropped import (
        Dropped,
        Load,
        NotAnswered,
        assertNothingDropped,
        deferNothingDropped,
    )
    from terminable.testing.httpanswers import Answer
    from terminable.testing.live import LeftBehind, LiveServer, serve
    from terminable.testing.memory import MemoryServer
    from terminable.testing.mixin import TerminableTestMixin
    from terminable.testing.peers import MemoryPeer
    from terminable.testing.reactor import MemoryReactor, Restless
    from terminable.testing.tally import Lost, Tally

__all__ = [
    "Answer",
    "BlockingServer",
    "Dropped",
    "LeftBehind",
    "LiveServer",
    "Load",
    "Lost",
    "MemoryPeer",
    "MemoryReactor",
    "MemoryServer",
    "NotAnswered",
    "Restless",
    "Tally",
    "TerminableTestMixin",
    "assertNothingDropped",
    "deferNothingDropped",
    "serve",
]

#: C{public name: the module of this package that defines it}.
_HOMES = {
    "Answer": "httpanswers",
    "BlockingServer": "blocking",
    "Dropped": "dropped",
    "LeftBehind": "live",
    "LiveServer": "live",
    "Load": "dropped",
    "Lost": "tally",
    "MemoryPeer": "peers",
    "MemoryReactor": "reactor",
    "MemoryServer": "memory",
    "NotAnswered": "dropped",
    "Restless": "reactor",
    "Tally": "tally",
    "TerminableTestMixin": "mixin",
    "assertNothingDropped": "dropped",
    "deferNothingDropped": "dropped",
    "serve": "live",
}


# Type checkers would take it for a promise that any name is there.
if not TYPE_CHECKING:  # pragma: no branch

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
