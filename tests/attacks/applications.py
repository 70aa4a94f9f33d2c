"""
Applications that do what they should not, at the worst moment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Factory, Protocol, connectionDone
from zope.interface import alsoProvides, implementer

from terminable.interfaces import IDrainer, IHintingDrainer
from tests.doubles import Boom

#: What a protocol may do within any call.
DEEDS = (
    "nothing",
    "raise",
    "write",
    "writeMuch",
    "lose",
    "loseTwice",
    "loseAndWrite",
    "abortConnection",
    "halfClose",
    "pause",
    "resumeReading",
    "produce",
    "produceNoMore",
    "exchange",
    "terminate",
    "terminateNow",
    "abort",
    "suspend",
    "resume",
    "release",
    "drain",
    "listen",
    "ask",
)

#: When it may do so.
MOMENTS = (
    "connectionMade",
    "dataReceived",
    "connectionLost",
    "drain",
    "isBusy",
    "hint",
    "describe",
    "lastWord",
    "readConnectionLost",
    "asked",
)

#: What it is: how much it knows of drains.
KINDS = ("raw", "drainer", "hinting", "halves", "nonsense")

#: What it may say when it is asked whether it is busy.
BUSY: dict[str, Any] = {
    "no": False,
    "yes": True,
    "none": None,
    "text": "perhaps",
    "list": [],
}


class Undecided:
    """
    Neither true nor false.
    """

    def __bool__(self) -> bool:
        raise Boom


BUSY["undecided"] = Undecided()


class Script:
    """
    What one protocol will do.

    @ivar kind: one of L{KINDS}.
    @ivar deeds: what it does at which moment, each once in a row.
    @ivar busy: what it says when it is asked whether it is busy.
    @ivar word: its last word.
    """

    def __init__(
        self, kind: str = "raw", deeds: dict[str, str] | None = None, busy: str = "no"
    ) -> None:
        self.kind = kind
        self.deeds = dict(deeds or {})
        self.busy = busy

    def __repr__(self) -> str:
        return f"Script({self.kind!r}, {self.deeds!r}, {self.busy!r})"


class Wild(Protocol):
    """
    A protocol that follows a script.

    @ivar made: how often it was connected.
    @ivar ended: how often its connection was lost.
    @ivar replaced: whether another one took its place.
    @ivar wrongs: what was done to it that must not be.
    """

    def __init__(self, script: Script, act: Callable[[Wild, str], None]) -> None:
        """
        @param act: does something for it.
        """
        self.script = script
        self.made = self.ended = 0
        self.replaced = False
        self.wrongs: list[str] = []
        self._act = act
        self._within: set[str] = set()
        self.silent = script.busy == "none"
        if script.kind == "drainer":
            alsoProvides(self, IDrainer)
        elif script.kind == "hinting":
            alsoProvides(self, IHintingDrainer)
        elif script.kind == "halves":
            alsoProvides(self, IHalfCloseableProtocol)

    def happens(self, moment: str) -> None:
        """
        Do what the script says, but not within the same.
        """
        deed = self.script.deeds.get(moment)
        if deed is None or moment in self._within:
            return
        self._within.add(moment)
        try:
            self._act(self, deed)
        finally:
            self._within.discard(moment)

    # -- as a protocol

    def connectionMade(self) -> None:
        self.made += 1
        if self.ended:
            self.wrongs.append("connected after its end")
        self.happens("connectionMade")

    def dataReceived(self, data: bytes) -> None:
        if self.ended or not self.made:
            self.wrongs.append("given data when it is not connected")
        if lostByNow(self.transport):
            self.wrongs.append("given data on a connection that was lost")
        self.happens("dataReceived")

    def readConnectionLost(self) -> None:
        self.happens("readConnectionLost")
        if self.transport is not None:
            self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        pass

    def connectionLost(self, reason: Any = connectionDone) -> None:
        self.ended += 1
        if not self.made:
            self.wrongs.append("lost before it was connected")
        self.happens("connectionLost")

    # -- as a drainer

    def isBusy(self) -> Any:
        """
        See L{IDrainer.isBusy}.
        """
        self.happens("isBusy")
        return BUSY[self.script.busy]

    def drain(self) -> None:
        """
        See L{IDrainer.drain}.
        """
        self.happens("drain")

    def hint(self, idle: Any) -> None:
        """
        See L{IHintingDrainer.hint}.
        """
        self.watch = idle
        self.happens("hint")

    def describe(self) -> str:
        """
        See L{IHintingDrainer.describe}.
        """
        self.happens("describe")
        return "something"

    def lastWord(self, retryAfter: int) -> Any:
        """
        See L{IHintingDrainer.lastWord}.
        """
        self.happens("lastWord")
        return {"yes": "word", "text": None, "list": b"bytes"}.get(self.script.busy, "")


class Fed:
    """
    A producer that never comes to an end.
    """

    def pauseProducing(self) -> None:
        pass

    def resumeProducing(self) -> None:
        pass

    def stopProducing(self) -> None:
        pass


def lostByNow(transport: Any) -> bool:
    """
    Whether whoever reads must not be given more: the connection was lost or reset.
    """
    return bool(getattr(transport, "disconnecting", False))


@implementer(IDrainer)
class Nonsense:
    """
    A drainer that is none.
    """

    def __init__(self, protocol: Any) -> None:
        self.protocol = protocol

    def isBusy(self) -> Any:
        """
        See L{IDrainer.isBusy}.
        """
        raise Boom

    def __getattr__(self, name: str) -> Any:
        raise Boom


class WildFactory(Factory):
    """
    Builds protocols by the scripts that it was given.

    @ivar built: all of them.
    @ivar mayRefuse: whether a script may have it build none.
    """

    noisy = False
    mayRefuse = True

    def __init__(self, act: Callable[[Wild, str], None]) -> None:
        self.scripts: list[Script] = []
        self.built: list[Wild] = []
        self.starts: Counter[str] = Counter()
        self._act = act

    def startFactory(self) -> None:
        self.starts["start"] += 1

    def stopFactory(self) -> None:
        self.starts["stop"] += 1

    def buildProtocol(self, addr: Any) -> Any:
        script = self.scripts.pop(0) if self.scripts else Script()
        if script.deeds.get("buildProtocol") == "raise":
            raise Boom
        if script.deeds.get("buildProtocol") == "none" and self.mayRefuse:
            return None
        if script.kind == "nonsense":
            protocol: Wild = NonsenseWild(script, self._act)
        else:
            protocol = Wild(script, self._act)
        self.built.append(protocol)
        return protocol


class NonsenseWild(Wild):
    """
    One that cannot be adapted.
    """

    def __conform__(self, interface: Any) -> Any:
        if interface in (IDrainer, IHintingDrainer):
            if self.script.busy == "yes":
                raise Boom
            return Nonsense(self)
        return None
