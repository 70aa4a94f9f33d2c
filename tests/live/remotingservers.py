"""
What the processes of the tests for remote calls and chats serve: AMP, Perspective Broker,
IRC.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IAnonymous, IUsernamePassword
from twisted.cred.portal import IRealm, Portal
from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.protocols import amp
from twisted.spread import pb
from twisted.words.service import InMemoryWordsRealm, IRCFactory
from zope.interface import implementer

from terminable.drainers.amp import TERMINATED, TERMINATING

reactor: Any = _reactor
log = Logger()


class NotBegun(Exception):
    """
    What a client makes of a call that was not taken.
    """


class NotDone(Exception):
    """
    What a client makes of a call that was cut short.
    """


class Wait(amp.Command):
    """
    Is answered after so many seconds.
    """

    errors = {NotBegun: TERMINATING, NotDone: TERMINATED}  # noqa: RUF012
    arguments = ((b"seconds", amp.Float()),)
    response = ((b"result", amp.Float()),)


class Twice(Wait):
    """
    Is answered at once.
    """


class Consult(Wait):
    """
    Is answered with what the client answers to L{Wait}.
    """


#: The calls that wait.
_waiting: list[Deferred[None]] = []


def wait(seconds: float) -> Deferred[float]:
    """
    Answer after so many seconds, or at SIGUSR1, and say on the log that this was asked for.
    """
    log.info("asked to wait for {seconds}", seconds=seconds)
    waiting = deferLater(reactor, seconds)
    _waiting.append(waiting)
    # Who is told not to wait any more is done.
    return waiting.addErrback(lambda reason: None).addCallback(lambda _: seconds)


def _release(*signal: object) -> None:
    for waiting in _waiting:
        reactor.callFromThread(waiting.cancel)


reactor.callWhenRunning(signal.signal, signal.SIGUSR1, _release)


def twice(number: float) -> float:
    """
    Answer at once.
    """
    return number * 2


class Waiting(amp.AMP):
    """
    Serves these calls, on either side.
    """

    @Wait.responder
    def wait(self, seconds: float) -> Deferred[dict[str, float]]:
        return wait(seconds).addCallback(lambda result: {"result": result})

    @Twice.responder
    def twice(self, seconds: float) -> dict[str, float]:
        return {"result": twice(seconds)}

    @Consult.responder
    def consult(self, seconds: float) -> Any:
        log.info("asked to consult")
        return self.callRemote(Wait, seconds=seconds)


class Avatar(pb.Avatar):
    """
    Serves the same calls.
    """

    def __init__(self, mind: Any) -> None:
        self.mind = mind

    def perspective_wait(self, seconds: float) -> Deferred[float]:
        return wait(seconds)

    def perspective_twice(self, number: float) -> float:
        return twice(number)

    def perspective_consult(self, seconds: float) -> Any:
        log.info("asked to consult")
        return self.mind.callRemote("wait", seconds)


@implementer(IRealm)
class Realm:
    """
    Everybody's avatar.
    """

    def requestAvatar(
        self, avatar: Any, mind: Any, *interfaces: Any
    ) -> tuple[Any, Avatar, Callable[[], None]]:
        return interfaces[0], Avatar(mind), lambda: None


@implementer(ICredentialsChecker)
class Trusting:
    """
    Believes everybody.
    """

    credentialInterfaces = (IUsernamePassword, IAnonymous)

    def requestAvatarId(self, credentials: Any) -> Any:
        return getattr(credentials, "username", "nobody")


def makeAMP() -> Factory[Any]:
    """
    AMP.
    """
    return Factory.forProtocol(Waiting)


def makePB() -> pb.PBServerFactory:
    """
    Perspective Broker, with a login.
    """
    return pb.PBServerFactory(Portal(Realm(), [Trusting()]))


def makeIRC() -> IRCFactory:
    """
    A chat.
    """
    realm = InMemoryWordsRealm("chat.example")
    realm.createGroupOnRequest = True
    return IRCFactory(realm, Portal(realm, [Trusting()]))
