"""
WebSockets of Autobahn on real connections, stand-alone and behind C{twisted.web}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from terminable import State
from tests.closing import CallTestCase, ClosingMixin
from tests.finishing import ApplicationMixin
from tests.hostility import HostileMixin
from tests.opening import OpeningMixin
from tests.wspeers import AutobahnApplication, AutobahnResourceServer, AutobahnServer


class Thoughtful(AutobahnApplication):
    """
    One that thinks about it before it opens.
    """

    def __init__(self) -> None:
        super().__init__()
        self.thinking: Deferred[None] = Deferred()

    def onConnect(self, request: Any) -> Deferred[None]:
        """
        See Autobahn's.
        """
        return self.thinking


class ThoughtfulMixin:
    """
    Applications that answer the handshake later.
    """

    def test_thinking(self: Any) -> None:
        """
        Who was asked before the end of the idle grace, and answers after it, has opened a
        WebSocket, which is closed then.
        """
        for seconds in (0.5, 3.0):
            self.patch(self.kind, "plain", Thoughtful)
            call = self.opening()
            call.send(self.asked(call))
            call.stop()
            [connection] = call.terminator.connections()
            self.assertIs(connection.state(), State.BUSY)
            call.go(seconds, 0.05)
            call.application.thinking.callback(None)
            call.accepted()
            call.go(1.0)
            self.assertClosed(call)


class AutobahnTests(
    ClosingMixin, ApplicationMixin, OpeningMixin, HostileMixin, ThoughtfulMixin, CallTestCase
):
    """
    Stand-alone, on a plain port.
    """

    kind = AutobahnServer


class AutobahnTLSTests(AutobahnTests):
    """
    On a port with TLS.
    """

    tls = True


class ResourceTests(AutobahnTests):
    """
    Behind C{twisted.web}.
    """

    kind = AutobahnResourceServer


class ResourceTLSTests(ResourceTests):
    """
    The same with TLS.
    """

    tls = True


class PatientServer(AutobahnServer):
    """
    One that answers violations of the protocol by a close frame, and waits for its answer.
    """

    def factory(self) -> Any:
        factory = super().factory()
        factory.setProtocolOptions(failByDrop=False)
        return factory


class PatientTests(HostileMixin, CallTestCase):
    """
    With Autobahn's C{failByDrop} switched off.
    """

    kind = PatientServer
    patience = 5.2
