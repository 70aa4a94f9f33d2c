"""
What Twisted finds: the C{terminable:} endpoint prefix and C{twistd terminable}.

Twisted reads this for every command and every endpoint description of everybody, so
it imports nothing of ours until it is needed.
"""

from __future__ import annotations

from typing import Any

from twisted.application.service import ServiceMaker
from twisted.internet.interfaces import IStreamServerEndpointStringParser
from twisted.plugin import IPlugin
from zope.interface import implementer


@implementer(IPlugin, IStreamServerEndpointStringParser)
class TerminableParser:
    """
    Parses C{terminable:tcp:8080:interface=127.0.0.1:grace=5}.
    """

    prefix = "terminable"

    def parseStreamServer(self, reactor: Any, *args: Any, **kwargs: Any) -> Any:
        """
        See L{terminable.endpoints.parse}.
        """
        from terminable.endpoints import parse

        return parse(reactor, args, kwargs)


terminableEndpoint = TerminableParser()

terminableService = ServiceMaker(
    "terminable",
    "terminable.tap",
    "Any server, ended politely or at once.",
    "terminable",
)
