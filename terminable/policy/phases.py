"""
The phases of a stop, as a table.

Rules:
 - the table says it all: a pair of phase and event that is not in it changes
   nothing and has no effect;
 - effects are data, carried out by the terminator in the order given;
 - after C{TERMINATE} or C{ABORT} every path leads to C{TERMINATED}, at the
   latest by C{DEADLINE} and then C{GIVE_UP};
 - only C{LISTEN} leads out of C{TERMINATED};
 - after a release, connections are drained by a table of their own, and this one goes on
   with C{RELEASED}: no port, and nobody connected.
"""

from __future__ import annotations

from enum import Enum
from typing import Final


class Phase(Enum):
    """
    Where a terminator stands.
    """

    SERVING = "serving"
    SUSPENDED = "suspended"
    RELEASED = "released"
    QUIESCING = "quiescing"
    DRAINING = "draining"
    ABORTING = "aborting"
    TERMINATED = "terminated"

    @property
    def stopping(self) -> bool:
        """
        Whether a stop is under way.
        """
        return self in (Phase.QUIESCING, Phase.DRAINING, Phase.ABORTING)


class Event(Enum):
    """
    What can happen to a terminator.
    """

    LISTEN = "a port was opened"
    SUSPEND = "suspend() was called"
    RESUME = "resume() was called"
    TERMINATE = "terminate() was called"
    QUIESCED = "the quiesce time is over"
    IDLE_OVER = "the idle grace is over"
    EMPTY = "no port and no connection is left"
    DEADLINE = "the grace period is over"
    ABORT = "abort() was called"
    GIVE_UP = "connections did not even end after they were aborted"


class Effect(Enum):
    """
    What the terminator has to do.
    """

    RESET = "begin a new account"
    HINT = "tell every peer with its next answer that it was the last"
    DRAIN_PORTS = "accept what is queued, then close the ports"
    SUSPEND_PORTS = "the same, to be undone"
    CLOSE_PORTS = "close the ports now"
    DRAIN = "have busy connections finish"
    LOSE_IDLE = "lose the connections with nothing in flight"
    LAST_WORDS = "abort every connection, with one last word where there is one"
    ABORT_ALL = "abort every connection"
    REPORT = "hand out the report"


#: C{(phase, event): (next phase, effects)}
TABLE: Final[dict[tuple[Phase, Event], tuple[Phase, tuple[Effect, ...]]]] = {
    (Phase.SERVING, Event.LISTEN): (Phase.SERVING, ()),
    (Phase.SERVING, Event.SUSPEND): (Phase.SUSPENDED, (Effect.SUSPEND_PORTS,)),
    (Phase.SERVING, Event.TERMINATE): (Phase.QUIESCING, (Effect.HINT,)),
    (Phase.SERVING, Event.ABORT): (Phase.ABORTING, (Effect.CLOSE_PORTS, Effect.ABORT_ALL)),
    #
    # The ports have been opened before: if that fails, nothing has happened.
    (Phase.SUSPENDED, Event.RESUME): (Phase.SERVING, ()),
    (Phase.SUSPENDED, Event.TERMINATE): (Phase.QUIESCING, (Effect.HINT,)),
    (Phase.SUSPENDED, Event.ABORT): (Phase.ABORTING, (Effect.CLOSE_PORTS, Effect.ABORT_ALL)),
    #
    (Phase.RELEASED, Event.LISTEN): (Phase.SERVING, ()),
    (Phase.RELEASED, Event.TERMINATE): (Phase.QUIESCING, (Effect.HINT,)),
    (Phase.RELEASED, Event.ABORT): (Phase.ABORTING, (Effect.CLOSE_PORTS, Effect.ABORT_ALL)),
    #
    (Phase.QUIESCING, Event.QUIESCED): (Phase.DRAINING, (Effect.DRAIN_PORTS, Effect.DRAIN)),
    # Only where the ports had gone before: there is nobody to whom it could be announced.
    (Phase.QUIESCING, Event.EMPTY): (Phase.TERMINATED, (Effect.REPORT,)),
    (Phase.QUIESCING, Event.DEADLINE): (
        Phase.ABORTING,
        (Effect.CLOSE_PORTS, Effect.LAST_WORDS),
    ),
    (Phase.QUIESCING, Event.ABORT): (Phase.ABORTING, (Effect.CLOSE_PORTS, Effect.ABORT_ALL)),
    #
    (Phase.DRAINING, Event.IDLE_OVER): (Phase.DRAINING, (Effect.LOSE_IDLE,)),
    (Phase.DRAINING, Event.EMPTY): (Phase.TERMINATED, (Effect.REPORT,)),
    (Phase.DRAINING, Event.DEADLINE): (
        Phase.ABORTING,
        (Effect.CLOSE_PORTS, Effect.LAST_WORDS),
    ),
    (Phase.DRAINING, Event.ABORT): (Phase.ABORTING, (Effect.CLOSE_PORTS, Effect.ABORT_ALL)),
    #
    # A call of abort() cuts the last words short.
    (Phase.ABORTING, Event.ABORT): (Phase.ABORTING, (Effect.ABORT_ALL,)),
    (Phase.ABORTING, Event.EMPTY): (Phase.TERMINATED, (Effect.REPORT,)),
    (Phase.ABORTING, Event.GIVE_UP): (Phase.TERMINATED, (Effect.REPORT,)),
    #
    (Phase.TERMINATED, Event.LISTEN): (Phase.SERVING, (Effect.RESET,)),
}


def step(phase: Phase, event: Event) -> tuple[Phase, tuple[Effect, ...]]:
    """
    Decide what follows when C{event} happens in C{phase}.

    @return: the next phase, and what has to be done, in that order.
    """
    return TABLE.get((phase, event), (phase, ()))


def diagram() -> str:
    """
    The table as a Graphviz graph, so that the picture in the documentation cannot
    differ from what runs.
    """
    arrows: dict[tuple[Phase, Phase], list[str]] = {}
    for (before, event), (after, _) in TABLE.items():
        arrows.setdefault((before, after), []).append(event.name.lower())
    lines = [
        f'    {before.name} -> {after.name} [label="{", ".join(events)}"];'
        for (before, after), events in arrows.items()
    ]
    return "\n".join(["digraph phases {", "    rankdir=LR;", "    node [shape=box];", *lines, "}"])
