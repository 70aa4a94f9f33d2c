"""
Which meter is for which protocol.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any
from weakref import WeakKeyDictionary

from twisted.logger import Logger

from terminable import events
from terminable.interfaces import ICounted
from terminable.throttling.meter import Meter
from terminable.throttling.meters.own import OwnMeter
from terminable.tracking import internals
from terminable.tracking.known import HTTP_CHANNEL
from terminable.tracking.layers import StandIn

#: C{class of a protocol: module and class of ours}; imported when there is such a protocol,
#: and so its library is.
OURS = {
    "autobahn.twisted.websocket.WebSocketServerProtocol": "autobahn.AutobahnMeter",
    "twisted.mail.imap4.IMAP4Server": "commands.IMAP4Meter",
    "twisted.mail.pop3.POP3": "commands.POP3Meter",
    "twisted.mail.smtp.SMTP": "commands.SMTPMeter",
    "twisted.protocols.amp.BinaryBoxProtocol": "amp.AMPMeter",
    "twisted.protocols.basic.IntNStringReceiver": "lines.PausableMeter",
    "twisted.protocols.basic.LineOnlyReceiver": "lines.LineOnlyMeter",
    "twisted.protocols.basic.LineReceiver": "lines.LineMeter",
    "twisted.protocols.basic.NetstringReceiver": "lines.StringMeter",
    "twisted.protocols.ftp.FTP": "commands.FTPMeter",
    "twisted.web.http.HTTPChannel": "http.HTTPMeter",
}

_known: WeakKeyDictionary[type, Any] = WeakKeyDictionary()
_log = Logger()


def _meter(where: str) -> Any:
    module, _, name = where.partition(".")
    return getattr(import_module(f"terminable.throttling.meters.{module}"), name)


def _made(where: str, protocol: Any) -> Meter:
    found: Meter = _meter(where)(protocol)
    return found


def _find(kind: type) -> Any:
    for each in kind.__mro__:
        where = OURS.get(f"{each.__module__}.{each.__qualname__}")
        if where is not None:
            return _meter(where)
    _log.warn(
        "messages of {kind} cannot be counted, as it does not provide ICounted",
        event=events.UNCOUNTED,
        kind=f"{kind.__module__}.{kind.__qualname__}",
    )
    return None


def meterOf(protocol: Any) -> Meter | None:
    """
    @return: what can count the messages of a protocol; C{None} if nothing can, which is
        logged once for each class.
    """
    if isinstance(protocol, StandIn):
        # The application's is not built yet.
        return None
    if ICounted.providedBy(protocol):
        return OwnMeter(protocol)
    channel = internals.httpChannel(protocol)
    http = HTTP_CHANNEL.made(channel)
    if http and internals.isWebSocket(internals.httpUpgraded(channel)):
        return _made("messages.TwistedMeter", channel)
    if internals.GENERIC_HTTP.made(protocol):
        return _made("http.HTTPMeter", protocol)
    kind = type(protocol)
    if kind not in _known:
        _known[kind] = _find(kind)
    made = _known[kind]
    return None if made is None else made(protocol)
