"""
A post office for tests: who takes and who keeps mail.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

from twisted.cred.credentials import UsernamePassword
from twisted.internet.defer import Deferred, succeed
from twisted.mail.interfaces import IMessageDelivery, IMessageSMTP
from twisted.mail.pop3 import IMailbox, Mailbox
from twisted.mail.smtp import SMTP
from zope.interface import implementer


@implementer(IMessageSMTP)
class Message:
    """
    One message for one recipient.

    @ivar lines: what was received of it.
    @ivar ended: C{"whole"} or C{"lost"}, when it is over.
    """

    def __init__(self, deliver: Callable[[], Any]) -> None:
        self._deliver = deliver
        self.lines: list[bytes] = []
        self.ended = ""

    def lineReceived(self, line: bytes) -> None:
        self.lines.append(line)

    def eomReceived(self) -> Any:
        self.ended = "whole"
        return self._deliver()

    def connectionLost(self) -> None:
        self.ended = "lost"


@implementer(IMessageDelivery)
class Delivery:
    """
    Takes mail from and for everybody.

    @ivar validating: what a sender has to wait for.
    @ivar delivering: what each message has to wait for; those are asked in turn, and
        none are left if it is empty.
    @ivar messages: all that there were.
    """

    def __init__(self) -> None:
        self.validating: Deferred[Any] | None = None
        self.delivering: list[Deferred[Any]] = []
        self.messages: list[Message] = []

    def validateFrom(self, helo: Any, origin: Any) -> Any:
        if self.validating is None:
            return origin
        return self.validating.addCallback(lambda _: origin)

    def validateTo(self, user: Any) -> Callable[[], Message]:
        def message() -> Message:
            self.messages.append(Message(self.deliver))
            return self.messages[-1]

        return message

    def deliver(self) -> Deferred[Any]:
        return self.delivering.pop(0) if self.delivering else succeed(None)

    def receivedHeader(self, helo: Any, origin: Any, recipients: Any) -> bytes:
        return b""


class LMTP(SMTP):
    """
    RFC 2033: one answer for each recipient, all at once.
    """

    def do_LHLO(self, rest: bytes) -> None:
        self.do_HELO(rest)

    def _messageHandled(self, resultList: Any) -> None:
        for success, _ in resultList:
            self.sendCode(*((250, b"Delivered") if success else (450, b"Not delivered")))


class EagerLMTP(LMTP):
    """
    The same, each as soon as it is known.
    """

    def validateTo(self, user: Any) -> Callable[[], Message]:
        assert self.delivery is not None
        message = self.delivery.validateTo(user)()
        deliver = message.eomReceived
        message.eomReceived = lambda: deliver().addCallback(
            lambda _: self.sendCode(250, b"Delivered to " + bytes(user.dest))
        )
        return lambda: message

    def _messageHandled(self, resultList: Any) -> None:
        pass


@implementer(IMailbox)
class Box(Mailbox):
    """
    Keeps some messages.

    @ivar texts: them; those that are deleted are empty.
    @ivar marked: the numbers of those that were marked for deletion.
    @ivar opening: what each message has to wait for.
    """

    def __init__(self, *texts: bytes) -> None:
        self.texts = list(texts)
        self.marked: set[int] = set()
        self.opening: Deferred[Any] | None = None
        self.closed = False

    def listMessages(self, i: int | None = None) -> Any:
        sizes = [0 if n in self.marked else len(text) for n, text in enumerate(self.texts)]
        return sizes if i is None else sizes[i]

    def getMessage(self, i: int) -> Any:
        file = BytesIO(self.texts[i])
        return file if self.opening is None else self.opening.addCallback(lambda _: file)

    def getUidl(self, i: int) -> bytes:
        return b"uid%d" % i

    def deleteMessage(self, i: int) -> None:
        if not 0 <= i < len(self.texts):
            raise ValueError(b"no such message")
        self.marked.add(i)

    def undeleteMessages(self) -> None:
        self.marked.clear()

    def sync(self) -> None:
        for number in self.marked:
            self.texts[number] = b""
        self.marked.clear()

    def close(self) -> None:
        """
        Nobody is logged in any more.
        """
        self.closed = True


class Porter:
    """
    A portal that lets everybody in.

    @ivar thinking: what everybody has to wait for.
    """

    def __init__(self, interface: Any, avatar: Any) -> None:
        self._answer = (interface, avatar, getattr(avatar, "close", lambda: None))
        self.thinking: Deferred[Any] | None = None
        self.seen: list[Any] = []

    def login(self, credentials: Any, mind: Any, *interfaces: Any) -> Deferred[Any]:
        self.seen.append(credentials)
        waiting = succeed(None) if self.thinking is None else self.thinking
        return waiting.addCallback(lambda _: self._answer)


class Plain(UsernamePassword):
    """
    SASL PLAIN, without looking.
    """

    def __init__(self) -> None:
        super().__init__(b"", b"")

    def getChallenge(self) -> bytes:
        return b""

    def setResponse(self, response: bytes) -> None:
        self.response = response

    def moreChallenges(self) -> bool:
        return False
