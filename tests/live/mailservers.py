"""
Mail servers for live tests: C{--factory tests.live.mailservers.makeSMTP}.

What an address begins with says how long it takes: C{later} some time, C{never} for ever.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.protocol import ServerFactory
from twisted.internet.ssl import PrivateCertificate
from twisted.mail.interfaces import IMessageDelivery
from twisted.mail.pop3 import POP3, IMailbox
from twisted.mail.smtp import ESMTP, SMTPFactory

from tests.live.certificates import selfSigned
from tests.live.resources import afterStop
from tests.postoffice import LMTP, Box, Delivery, Message, Plain, Porter

#: How long what takes some time takes after the stop, in seconds.
LATER = 1.0

#: More than the buffers of two kernels and a small window hold.
LONG = b"0123456789abcde\n" * 2**19


def taking(address: bytes) -> Deferred[Any]:
    """
    As long as an address says; what takes any time is told.
    """
    if address.startswith((b"later", b"never")):
        print(f"waiting for {address.decode()}")
    if address.startswith(b"later"):
        return afterStop(LATER)
    return Deferred() if address.startswith(b"never") else succeed(None)


class SlowDelivery(Delivery):
    """
    Takes its time for senders, recipients, and messages, and tells what it has delivered.
    """

    def validateFrom(self, helo: Any, origin: Any) -> Any:
        return taking(bytes(origin)).addCallback(lambda _: origin)

    def validateTo(self, user: Any) -> Any:
        def made() -> Message:
            return Message(lambda: taking(bytes(user.dest)).addCallback(delivered))

        def delivered(_: object) -> None:
            print(f"delivered to {user}")

        return made


class MailFactory(SMTPFactory):
    """
    Serves mail on C{mx.example}.
    """

    noisy = False
    domain = b"mx.example"

    def buildProtocol(self, addr: Any) -> Any:
        """
        One that has a delivery of its own.
        """
        built: Any = super().buildProtocol(addr)
        built.noisy = False
        built.delivery = SlowDelivery()
        return built


def makeSMTP() -> MailFactory:
    """
    ESMTP with STARTTLS and AUTH.
    """
    context = PrivateCertificate.loadPEM(selfSigned()).options()
    factory = MailFactory(Porter(IMessageDelivery, SlowDelivery()))
    factory.protocol = lambda: ESMTP({b"PLAIN": Plain}, context)  # type: ignore[assignment]
    return factory


def makeLMTP() -> MailFactory:
    """
    LMTP.
    """
    factory = MailFactory()
    factory.protocol = LMTP
    return factory


class SlowBox(Box):
    """
    Has a short message, another, a long one, one that takes its time, and one that is
    never found.
    """

    def __init__(self) -> None:
        super().__init__(b"one\n", b"two\n", LONG, b"later", b"never")

    def getMessage(self, i: int) -> Any:
        return taking(self.texts[i]).addCallback(lambda _: Box.getMessage(self, i))

    def sync(self) -> None:
        print(f"deleted {sorted(self.marked)}")
        super().sync()

    def close(self) -> None:
        print("logged out")


class BoxFactory(ServerFactory):
    """
    Gives everybody a mailbox of their own.
    """

    noisy = False
    protocol = POP3
    challengers = {b"PLAIN": Plain}  # noqa: RUF012 - Twisted reads it from the factory

    def buildProtocol(self, addr: Any) -> Any:
        """
        One that has a portal of its own.
        """
        built: Any = super().buildProtocol(addr)
        built.portal = Porter(IMailbox, SlowBox())
        return built


def makePOP3() -> BoxFactory:
    """
    POP3.
    """
    return BoxFactory()
