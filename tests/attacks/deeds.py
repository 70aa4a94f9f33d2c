"""
What applications and observers do to a server within its calls.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import CannotListenError
from twisted.protocols.tls import TLSMemoryBIOProtocol

from terminable.asking import whenDraining
from terminable.errors import CannotAttach, NotServing
from tests.attacks.applications import Fed, Script, Wild, WildFactory
from tests.doubles import Boom

#: What may be refused, with these errors.
REFUSED = (NotServing, CannotListenError, CannotAttach)


class Deeds:
    """
    All of it; the rest is L{Scene<tests.attacks.scene.Scene>}.
    """

    seen: Counter[str]
    factories: list[WildFactory]
    terminator: Any
    terminate: Any
    abort: Any
    suspend: Any
    release: Any
    drain: Any
    listen: Any

    def act(self, protocol: Wild | None, deed: str) -> None:
        """
        Do something within a call.
        """
        self.seen[f"did {deed}"] += 1
        if deed == "raise":
            raise Boom
        mine = getattr(self, f"_act_{deed}", None)
        if mine is not None:
            with contextlib.suppress(*REFUSED):
                mine()
            return
        transport: Any = None if protocol is None else protocol.transport
        if transport is not None:
            getattr(self, f"_on_{deed}", lambda *_: None)(protocol, transport)

    def _act_terminate(self) -> None:
        self.terminate(0.7)

    def _act_terminateNow(self) -> None:
        self.terminate(0)

    def _act_abort(self) -> None:
        self.abort()

    def _act_suspend(self) -> None:
        self.suspend()

    def _act_resume(self) -> None:
        self.terminator.resume()

    def _act_release(self) -> None:
        self.release(False)

    def _act_drain(self) -> None:
        self.drain(percent=50, gracePeriod=0.5)

    def _act_listen(self) -> None:
        self.listen("unix")

    def _on_ask(self, protocol: Wild, transport: Any) -> None:
        def drains(_: Any) -> Any:
            protocol.happens("asked")
            # One that is never done, or not yet.
            return Deferred() if protocol.script.busy == "yes" else None

        asked = whenDraining(protocol)
        asked.addCallback(drains)
        asked.addErrback(lambda reason: reason.trap(Boom, CancelledError))

    def _on_write(self, protocol: Wild, transport: Any) -> None:
        transport.write(b"x" * 10)

    def _on_writeMuch(self, protocol: Wild, transport: Any) -> None:
        transport.write(b"x" * 400_000)

    def _on_lose(self, protocol: Wild, transport: Any) -> None:
        transport.loseConnection()

    def _on_loseTwice(self, protocol: Wild, transport: Any) -> None:
        transport.loseConnection()
        transport.loseConnection()

    def _on_loseAndWrite(self, protocol: Wild, transport: Any) -> None:
        transport.loseConnection()
        transport.write(b"too late")

    def _on_abortConnection(self, protocol: Wild, transport: Any) -> None:
        # Twisted's TLS does not bear it on a connection that is over.
        with contextlib.suppress(*[AttributeError] * isinstance(transport, TLSMemoryBIOProtocol)):
            transport.abortConnection()

    def _on_halfClose(self, protocol: Wild, transport: Any) -> None:
        if hasattr(transport, "loseWriteConnection"):
            transport.loseWriteConnection()

    def _on_pause(self, protocol: Wild, transport: Any) -> None:
        if hasattr(transport, "pauseProducing"):
            transport.pauseProducing()

    def _on_resumeReading(self, protocol: Wild, transport: Any) -> None:
        if hasattr(transport, "resumeProducing") and not getattr(transport, "disconnecting", 0):
            transport.resumeProducing()

    def _on_produce(self, protocol: Wild, transport: Any) -> None:
        if hasattr(transport, "registerProducer"):
            with contextlib.suppress(RuntimeError):
                transport.registerProducer(Fed(), protocol.script.busy == "yes")

    def _on_produceNoMore(self, protocol: Wild, transport: Any) -> None:
        if hasattr(transport, "unregisterProducer"):
            transport.unregisterProducer()

    def _on_exchange(self, protocol: Wild, transport: Any) -> None:
        if getattr(transport, "protocol", None) is not protocol or protocol.ended:
            return
        other = Wild(Script(protocol.script.kind, {}, protocol.script.busy), self.act)
        protocol.replaced = True
        self.factories[0].built.append(other)
        transport.protocol = other
        other.makeConnection(transport)
