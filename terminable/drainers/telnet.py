"""
Telnet, as C{twisted.conch} speaks it.

Telnet has no goodbye of its own and knows nothing of what its users do: that is for the
application to say, if it is an L{IDrainer}.  All others get a line of text.
"""

from __future__ import annotations

from typing import Any

from twisted.conch.telnet import Telnet, TelnetBootstrapProtocol
from twisted.python.components import registerAdapter
from zope.interface import implementer

from terminable.drainers.plain import PlainDrainer, fullDrainer
from terminable.drainers.raw import RawDrainer
from terminable.interfaces import IDrainer, IDrainWatch, IHintingDrainer, ILastingDrainer
from terminable.tracking.layers import unsentHere


def _swallow(*args: object) -> None:
    """
    Take what comes too late.
    """


@implementer(ILastingDrainer)
class TelnetDrainer:
    """
    Has the application end its connection, or says goodbye in its place.

    @cvar goodbye: what the user is told, as it is written.
    @ivar protocol: the transport, as C{twisted.conch} calls it.
    @ivar leaving: whether that was said.
    """

    lasting = True
    prompt = False
    goodbye = b"\r\nThe server is going down.\r\n"

    def __init__(self, protocol: Any) -> None:
        self.protocol = protocol
        self.leaving = False
        self._idle: IDrainWatch | None = None
        self._inside: list[Any] = []
        self._drainer: IHintingDrainer | None = None

    @property
    def application(self) -> IHintingDrainer | None:
        """
        The application's own drainer.  A login exchanges the application; a new one is
        told what the former one was.
        """
        inside = _inside(self.protocol)
        if inside and inside != self._inside:
            self._inside = inside
            self._drainer = _drainerOf(inside)
            if self._idle is not None:
                _hint(self._drainer, self._idle)
        return self._drainer

    def hint(self, idle: IDrainWatch) -> None:
        """
        Pass it on to the application; nobody else can tell which command is the last.
        """
        drainer = self.application
        self._idle = idle
        _hint(drainer, idle)

    @property
    def silent(self) -> bool:
        """
        Whether it may be lost without a word: only if the application says so.
        """
        drainer = self.application
        return drainer is not None and bool(drainer.silent)

    @property
    def answered(self) -> bool:
        """
        Whether anything was answered since the hint, as far as the application tells.
        """
        return bool(getattr(self.application, "answered", False))

    def isBusy(self) -> bool:
        """
        What the application says; without that, whether something was written that has
        not left.
        """
        drainer = self.application
        return bool(unsentHere(self.protocol) if drainer is None else drainer.isBusy())

    def drain(self) -> None:
        """
        Have the application end the connection, or say goodbye behind what was written.
        """
        drainer = self.application
        if drainer is None:
            self._leave()
        else:
            drainer.drain()

    def _leave(self) -> None:
        """
        Say goodbye, once, and lose the connection.
        """
        if not self.leaving:
            self.leaving = True
            transport = self.protocol.transport
            transport.write(self.goodbye)
            transport.loseConnection()
            self.protocol.write = self.protocol.writeSequence = _swallow

    def describe(self) -> str:
        """
        What the application says, or its name.
        """
        drainer = self.application
        text = "" if drainer is None else drainer.describe()
        return text or (type(self._inside[-1]).__name__ if self._inside else "")

    def lastWord(self, retryAfter: int) -> str:
        """
        The application's, or the goodbye if it has none.
        """
        drainer = self.application
        word = "" if drainer is None else drainer.lastWord(retryAfter)
        if word or getattr(self.protocol.transport, "disconnecting", False):
            return word
        self._leave()
        return "goodbye"


def _hint(drainer: IHintingDrainer | None, idle: IDrainWatch) -> None:
    """
    Pass it on.  Who knows no hint is told when the drain begins, if it is busy then.
    """
    if drainer is not None:
        drainer.hint(idle)
    if isinstance(drainer, PlainDrainer):
        idle.later(idle.schedule.quiesce, _tellBusy, drainer)


def _tellBusy(drainer: PlainDrainer) -> None:
    if drainer.isBusy():
        drainer.drain()


def _inside(telnet: Any) -> list[Any]:
    """
    What a Telnet transport passes its user's input to: the application, behind it a
    terminal, and behind that what is on the terminal; as far as they are there.
    """
    application = getattr(telnet, "protocol", None)
    found = [application]
    if isinstance(application, TelnetBootstrapProtocol):
        found.append(application.protocol)
    found.append(getattr(found[-1], "terminalProtocol", None))
    return [one for one in found if one is not None]


def _drainerOf(inside: list[Any]) -> IHintingDrainer | None:
    """
    The first drainer that one of them has; the raw one, which all have, does not count.
    """
    for one in inside:
        drainer = IDrainer(one, None)
        if drainer is not None and not isinstance(drainer, RawDrainer):
            return fullDrainer(drainer)
    return None


def register() -> None:
    """
    Make this the drainer of everything that speaks Telnet.
    """
    registerAdapter(TelnetDrainer, Telnet, IDrainer)
