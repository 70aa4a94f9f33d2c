"""
What C{twisted.web} speaks on a connection, whatever that is at the moment.

C{Site} builds a protocol that stands for HTTP/1.1 until ALPN has chosen, for HTTP/2
if it chose that, and for something else altogether after an upgrade.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.python.components import registerAdapter
from twisted.web.http import HTTPChannel
from zope.interface import implementer

from terminable.drainers.http2 import HTTP2Drainer
from terminable.drainers.http11 import HTTP11Drainer
from terminable.drainers.raw import RawDrainer
from terminable.interfaces import IDrainer, IHintingDrainer
from terminable.tracking import internals


def isUpgraded(channel: HTTPChannel) -> bool:
    """
    Whether what the channel receives goes to another protocol: both an upgrade and
    the end of a connection exchange C{dataReceived} on the instance, but only the
    end exchanges C{lineReceived} too.
    """
    return _own(channel, "dataReceived") and not _own(channel, "lineReceived")


def _own(channel: HTTPChannel, name: str) -> bool:
    """
    Whether the instance has another method than its class.  Not by its C{__dict__},
    which Python would have to make first.
    """
    return getattr(getattr(channel, name), "__func__", None) is not getattr(type(channel), name)


@implementer(IHintingDrainer)
class WebDrainer:
    """
    Finds out late what is spoken, and has the right drainer end it.
    """

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol
        self._speaks: Any = None
        self._drainer: Any = None

    def _now(self) -> Any:
        """
        The drainer for what is spoken now.
        """
        channel = internals.httpChannel(self._protocol)
        isHTTP1 = isinstance(channel, HTTPChannel)
        upgraded = isHTTP1 and isUpgraded(channel)
        if self._speaks != (channel, upgraded):
            if upgraded:
                self._drainer = RawDrainer(channel, upgraded=True)
            elif isHTTP1:
                self._drainer = HTTP11Drainer(channel)
            else:
                self._drainer = HTTP2Drainer(channel)
            self._speaks = (channel, upgraded)
        return self._drainer

    @property
    def silent(self) -> bool:
        """
        See L{IHintingDrainer.silent}.
        """
        return bool(self._now().silent)

    @property
    def upgraded(self) -> bool:
        """
        Whether HTTP is over on this connection, but the connection is not.
        """
        return bool(self._now().upgraded)

    @property
    def answered(self) -> bool:
        """
        See L{IHintingDrainer.answered}.
        """
        return bool(getattr(self._now(), "answered", False))

    def isBusy(self) -> bool:
        """
        See L{IDrainer.isBusy}.
        """
        return bool(self._now().isBusy())

    def hint(self, idle: Callable[[], None]) -> None:
        """
        See L{IHintingDrainer.hint}.
        """
        self._now().hint(idle)
        if internals.negotiating(self._protocol):
            self._hintAgain(idle)

    def _hintAgain(self, idle: Callable[[], None]) -> None:
        """
        ALPN speaks with the first bytes: look again after them.
        """
        protocol = self._protocol
        received = protocol.dataReceived

        def dataReceived(data: bytes) -> None:
            vars(protocol).pop("dataReceived", None)
            received(data)
            if self._speaks[0] is not internals.httpChannel(protocol):
                self._now().hint(idle)

        protocol.dataReceived = dataReceived

    def drain(self) -> None:
        """
        See L{IDrainer.drain}.
        """
        self._now().drain()

    def describe(self) -> str:
        """
        See L{IHintingDrainer.describe}.
        """
        return str(self._now().describe())

    def lastWord(self, retryAfter: int) -> str:
        """
        See L{IHintingDrainer.lastWord}.
        """
        return str(self._now().lastWord(retryAfter))


def register() -> None:
    """
    Make this the drainer of everything that C{twisted.web} builds.
    """
    for spoken in (internals.GenericHTTPProtocol, HTTPChannel):
        registerAdapter(WebDrainer, spoken, IDrainer)
