"""
Twisted's own tests, with our pair or our transports between.

Each test named here is Twisted's, unchanged; what it serves is recorded by us, and the
test fails if it was not.  Left out are those that

 - make an C{HTTPChannel}, an C{H2Connection} or a C{TLSMemoryBIOProtocol} by hand and
   connect it to a transport in memory: there is no factory that could be wrapped, and
   no port whose transports could record themselves (most of C{test_http},
   C{test_http2}, C{protocols.test.test_tls});
 - only serve clients (C{test_agent}, C{test_webclient});
 - make reactors of their own (C{twisted.internet.test});
 - call C{super().setUp()}, which a copy of the class cannot
   (C{test_sslverify.OpenSSLOptionsTests});
 - C{test_unix.UnixSocketTests.test_reprWithNewStyleFactory} with the pair: a port is
   named after the class of its factory, which is then ours.

They need what Twisted's tests need (PyHamcrest, httpx); a class that cannot be imported
is skipped.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.python.reflect import namedAny
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web.http import HTTPFactory
from twisted.web.server import Site

from terminable.tracking.factory import TerminableFactory
from terminable.tracking.transports import attach
from tests.wire import Recording

#: Tests that have C{Site} or C{HTTPFactory} build protocols, and use them in memory.
BUILDING = {
    "twisted.web.test.test_http.GenericHTTPChannelTests": """
        test_GenericHTTPChannelPropagatesCallLater test_genericHTTPChannelCallLaterUpgrade
    """,
    "twisted.web.test.test_http.HTTP0_9Tests": """
        test_connectionLostAfterForceClose test_requestBodyDefaultTimeout
        test_transportForciblyClosed test_transportNotAbortedAfterConnectionLost
        test_transportNotAbortedWithZeroAbortTimeout
    """,
    "twisted.web.test.test_http.HTTP1_0Tests": """
        test_connectionLostAfterForceClose test_requestBodyDefaultTimeout
        test_transportForciblyClosed test_transportNotAbortedAfterConnectionLost
        test_transportNotAbortedWithZeroAbortTimeout
    """,
    "twisted.web.test.test_http.HTTP1_1Tests": """
        test_connectionLostAfterForceClose test_requestBodyDefaultTimeout
        test_transportForciblyClosed test_transportNotAbortedAfterConnectionLost
        test_transportNotAbortedWithZeroAbortTimeout
    """,
    "twisted.web.test.test_http.HTTP1_1_close_Tests": """
        test_connectionLostAfterForceClose test_requestBodyDefaultTimeout
        test_transportForciblyClosed test_transportNotAbortedAfterConnectionLost
        test_transportNotAbortedWithZeroAbortTimeout
    """,
    "twisted.web.test.test_http.RequestTests": """
        test_finishCleansConnection test_finishProducesLog
        test_requestBodyTimeoutFromFactory
    """,
    "twisted.web.test.test_proxy.ReverseProxyResourceTests": """
        test_render test_renderWithQuery test_render_subpage
    """,
    "twisted.web.test.test_web.ConditionalTests": """
        test_etagMatched test_etagMatchedNot test_invalidTimestamp
        test_invalidTimestampMonth test_invalidTimestampTooLongAgo
        test_invalidTimestampYear test_modified test_unmodified
        test_unmodifiedWithContentType
    """,
    "twisted.web.test.test_web.SiteTest": """
        test_buildProtocol
    """,
    "twisted.web.test.test_web.TestRFC9112Section932": """
        test_multipleRequestsInDifferentSegments test_multipleRequestsInOneSegment
    """,
    "twisted.web.test.test_websocket.FramingAndFragmentationTests": """
        testCompleteFrameControl testOneFrameAcrossTwoReads testOneFrameAcrossTwoReadsText
        testOneMessageAcrossTwoFrames testOneMessageAcrossTwoFramesText
    """,
    "twisted.web.test.test_websocket.WebSocketTests": """
        test_backpressure test_bad test_bytesMessage test_connectionRefused
        test_connectionRefusedSlow test_connectionRefusedWeird test_pingPong
        test_serverConnectionLost test_websocket
    """,
}

#: Tests that listen.
LISTENING = {
    "twisted.test.test_loopback.LoopbackTCPTests": """
        testRegularFunction testSneakyHiddenDoom
    """,
    "twisted.test.test_loopback.LoopbackUNIXTests": """
        testRegularFunction testSneakyHiddenDoom
    """,
    "twisted.test.test_ssl.BufferingTests": """
        test_openSSLBuffering
    """,
    "twisted.test.test_ssl.ConnectionLostTests": """
        testFailedVerify testImmediateDisconnect test_bothSidesLoseConnection
    """,
    "twisted.test.test_ssl.SpammyTLSTests": """
        test_TLS test_backwardsTLS test_unTLS
    """,
    "twisted.test.test_ssl.StolenTCPTests": """
        test_properlyCloseFiles
    """,
    "twisted.test.test_ssl.TLSTests": """
        test_TLS test_backwardsTLS test_unTLS
    """,
    "twisted.test.test_sslverify.OpenSSLOptionsECDHIntegrationTests": """
        test_ellipticCurveDiffieHellman
    """,
    "twisted.test.test_tcp.AddressTests": """
        test_buildProtocolClient
    """,
    "twisted.test.test_tcp.CallBackOrderTests": """
        test_loseOrder
    """,
    "twisted.test.test_tcp.CannotBindTests": """
        test_cannotBind test_clientBind
    """,
    "twisted.test.test_tcp.FactoryTests": """
        test_clientStartStop test_serverStartStop
    """,
    "twisted.test.test_tcp.HalfCloseBuggyApplicationTests": """
        test_readNotificationRaises test_writeNotificationRaises
    """,
    "twisted.test.test_tcp.HalfCloseNoNotificationAndShutdownExceptionTests": """
        testNoNotification testShutdownException
    """,
    "twisted.test.test_tcp.HalfCloseTests": """
        testCloseWriteCloser testWriteCloseNotification
    """,
    "twisted.test.test_tcp.LargeBufferTests": """
        testWriter
    """,
    "twisted.test.test_tcp.ListeningTests": """
        testNumberedInterface testPortRepr testStopListening test_directConnectionLostCall
        test_exceptInConnectionLostCall test_exceptInStop test_listen
        test_restartAfterExcept test_restartListening test_serverRepr
    """,
    "twisted.test.test_tcp.LocalRemoteAddressTests": """
        test_hostAddress
    """,
    "twisted.test.test_tcp.LogTests": """
        test_logstrClientSetup
    """,
    "twisted.test.test_tcp.LoopbackTests": """
        test_closePortInProtocolFactory test_connectByService test_tcpKeepAlive
        test_tcpNoDelay
    """,
    "twisted.test.test_tcp.PauseProducingTests": """
        test_pauseProducingInConnectionMade
    """,
    "twisted.test.test_tcp.ProperlyCloseFilesTests": """
        test_properlyCloseFiles
    """,
    "twisted.test.test_tcp.WriteDataTests": """
        test_writeAfterShutdownWithoutReading test_writer
    """,
    "twisted.test.test_unix.UnixSocketTests": """
        test_dumber test_peerBind test_pidFile test_reprWithNewStyleFactory
        test_socketLocking test_uncleanServerSocketLocking
    """,
    "twisted.web.test.test_cgi.CGIScriptTests": """
        test_urlParameters
    """,
    "twisted.web.test.test_cgi.CGITests": """
        test_CGI test_ReadAllInput test_ReadEmptyInput test_ReadInput
        test_duplicateHeaderCGI test_malformedHeaderCGI test_noDuplicateContentTypeHeaders
        test_noProxyPassthrough test_protectedServerAndDate
    """,
    "twisted.web.test.test_distrib.DistribTests": """
        testDistrib test_connectionLost test_largeReturn test_largeWrite
        test_requestHeaders test_requestResponseCode test_requestResponseCodeMessage
    """,
    "twisted.web.test.test_http2.EndToEndTests": """
        test_realRequest
    """,
}

#: What cannot be, and why is said above.
NAMED_AFTER_US = {"test_reprWithNewStyleFactory"}


class Given:
    """
    A factory that builds what it was told.
    """

    def __init__(self, build: Any) -> None:
        self.buildProtocol = build


class Between:
    """
    How we come between a test and what it serves.
    """

    inner: Any

    def setUp(self: Any) -> Any:
        self.between: list[Recording] = []
        self.nested = False
        self.addCleanup(lambda: self.assertTrue(self.between, "nothing went through us"))
        self.comeBetween()
        return self.theirSetUp()

    def recorder(self: Any) -> Recording:
        """
        One more.
        """
        self.between.append(Recording())
        return self.between[-1]  # type: ignore[no-any-return]

    def once(self: Any, theirs: Any, ours: Any) -> Any:
        """
        C{ours} instead of C{theirs}, except where that is called by itself.
        """

        def call(*args: Any, **keywords: Any) -> Any:
            if self.nested:
                return theirs(*args, **keywords)
            self.nested = True
            try:
                return ours(theirs, *args, **keywords)
            finally:
                self.nested = False

        return call

    def everyListen(self: Any, ours: Any) -> None:
        """
        Patch all that makes the reactor listen.
        """
        for name in ("listenTCP", "listenSSL", "listenUNIX"):
            self.patch(reactor, name, self.once(getattr(reactor, name), ours))


class BuiltByPair(Between):
    """
    What C{Site} and C{HTTPFactory} build is built by the pair.
    """

    def comeBetween(self: Any) -> None:
        """
        Patch the factories.
        """

        def build(theirs: Any, factory: Any, addr: Any) -> Any:
            pair = TerminableFactory(Given(lambda addr: theirs(factory, addr)), self.recorder())
            return pair.buildProtocol(addr)

        for kind in (HTTPFactory, Site):
            wrapped = self.once(kind.buildProtocol, build)
            self.patch(kind, "buildProtocol", lambda it, addr, wrapped=wrapped: wrapped(it, addr))


class ListeningPair(Between):
    """
    Whoever listens does so with the pair.
    """

    def comeBetween(self: Any) -> None:
        """
        Patch the reactor.
        """

        def listen(theirs: Any, where: Any, factory: Any, *args: Any, **keywords: Any) -> Any:
            return theirs(where, TerminableFactory(factory, self.recorder()), *args, **keywords)

        self.everyListen(listen)


class OwnPort(Between):
    """
    Whoever listens does so on a port whose transports record themselves.
    """

    def comeBetween(self: Any) -> None:
        """
        Patch the reactor.
        """

        def listen(theirs: Any, *args: Any, **keywords: Any) -> Any:
            port = theirs(*args, **keywords)
            attach(port, self.recorder())
            return port

        self.everyListen(listen)


def behind(between: type, name: str, chosen: set[str]) -> type:
    """
    Those tests that were C{chosen} of Twisted's class C{name}, with us between.
    """
    their = namedAny(name)
    base = TestCase if issubclass(their, TestCase) else SynchronousTestCase
    body: dict[str, Any] = {}
    for kind in reversed(their.__mro__):
        if ".test." in kind.__module__:
            body.update(vars(kind))
    for method in [key for key in body if key.startswith("test") and key not in chosen]:
        if callable(body[method]):
            del body[method]
    for key in ("__dict__", "__weakref__"):
        body.pop(key, None)
    setUp = body.pop("setUp", lambda self: None)
    body.update(theirSetUp=setUp, __module__=__name__)
    return type(f"{between.__name__}{their.__name__}", (between, base), body)


def make(between: type, tests: dict[str, str], without: set[str]) -> None:
    """
    Make the classes of a table.
    """
    for name, chosen in tests.items():
        try:
            made = behind(between, name, set(chosen.split()) - without)
        except ImportError as error:
            title = between.__name__ + name.rpartition(".")[2]
            body = {"test_it": lambda self: None, "skip": str(error), "__module__": __name__}
            made = type(title, (SynchronousTestCase,), body)
        globals()[made.__name__] = made


make(BuiltByPair, BUILDING, set())
make(ListeningPair, LISTENING, NAMED_AFTER_US)
make(OwnPort, LISTENING, set())
