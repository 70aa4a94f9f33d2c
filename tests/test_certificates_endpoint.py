"""
Endpoint descriptions whose certificates are renewed.
"""

from __future__ import annotations

import os
import signal
import sys
from datetime import timedelta
from typing import Any

from OpenSSL import SSL
from twisted.internet import endpoints
from twisted.internet.endpoints import SSL4ServerEndpoint, TCP4ServerEndpoint, serverFromString
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.internet.protocol import Factory
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from terminable.certificates import RenewedDirectory, renewing
from terminable.certificates.endpoint import RenewingEndpoint, optionsOf, wordsOf
from terminable.errors import InvalidOption
from tests.certificatefiles import PairTestCase, shown
from tests.live.certificates import pair
from tests.test_certificates_hangup import HangupTestCase

THIRTY = timedelta(days=30)


class WordsTests(SynchronousTestCase):
    """
    Descriptions, read.
    """

    def test_words(self) -> None:
        """
        They are parted by colons, and a backslash takes the meaning from a character.
        """
        words = wordsOf(r"ssl:443:a\:b:privateKey=c\=d=e\\:interface=")
        expected = [
            (None, "ssl"),
            (None, "443"),
            (None, "a:b"),
            ("privateKey", "c=d=e\\"),
            ("interface", ""),
        ]
        self.assertEqual(words, expected)

    def test_options(self) -> None:
        """
        Those without a name are known by their places, files by their absolute paths.
        """
        here = os.getcwd()
        given = optionsOf(wordsOf("443:a.key:/b.crt:extraCertChain=c.pem"))
        expected = {
            "port": "443",
            "privateKey": f"{here}/a.key",
            "certKey": "/b.crt",
            "extraCertChain": f"{here}/c.pem",
        }
        self.assertEqual(given, expected)
        self.assertEqual(optionsOf([])["privateKey"], f"{here}/server.pem")


class EndpointTestCase(PairTestCase, HangupTestCase):
    """
    A pair of files, and a reactor that listens on nothing.
    """

    def setUp(self) -> None:
        super().setUp()
        # What ends a watch.
        self.addCleanup(self.loseAll)

    def loseAll(self) -> None:
        for reader in list(self.reactor.getReaders()):
            reader.loseConnection()

    @property
    def description(self) -> str:
        """
        Where to listen with them.
        """
        return f"ssl:443:interface=127.0.0.1:backlog=7:certKey={self.crt}:privateKey={self.key}"

    def hangUpWith(self) -> bytes:
        """
        Change the files, and say so.

        @return: the new certificate.
        """
        new = pair(ends=THIRTY)
        self.put(new)
        self.hangUp()
        return new[0]


class RenewingTests(EndpointTestCase):
    """
    Endpoints of descriptions.
    """

    def test_ssl(self) -> None:
        """
        It is listened on as the description says, with a context that is renewed at SIGHUP
        and when the files change.
        """
        endpoint = renewing(self.reactor, self.description)
        verifyObject(IStreamServerEndpoint, endpoint)
        factory = Factory()
        self.successResultOf(endpoint.listen(factory))
        [(port, given, context, backlog, interface)] = self.reactor.sslServers
        self.assertEqual((port, backlog, interface), (443, 7, "127.0.0.1"))
        self.assertIs(given, factory)
        self.assertEqual(shown(context.getContext()), self.old[0])
        self.assertEqual(self.hangUpWith(), shown(context.getContext()))

    def test_everyFile(self) -> None:
        """
        All files of the description are watched, and read again; the process may have
        changed its directory.
        """
        chain = self.write("chain.pem", pair()[0])
        here = os.getcwd()
        os.chdir(self.folder)
        self.addCleanup(os.chdir, here)
        renewing(self.reactor, "ssl:443:site.key:site.crt:extraCertChain=chain.pem").listen(
            Factory()
        )
        os.chdir("/")
        context = self.reactor.sslServers[0][2]
        self.assertEqual(context.paths, (self.key, self.crt, chain))
        self.write("chain.pem", pair()[0] + pair()[0])
        self.assertTrue(context.renew(), context.problem)

    def test_halfChain(self) -> None:
        """
        Half a chain is not used.
        """
        chain = self.write("chain.pem", pair()[0])
        renewing(self.reactor, f"{self.description}:extraCertChain={chain}").listen(Factory())
        context = self.reactor.sslServers[0][2]
        self.write("chain.pem", pair()[0] + pair()[0][:99])
        self.assertKept(context, f"{chain}: is cut off")

    def test_errors(self) -> None:
        """
        What cannot be meant raises what it raises without us.
        """
        for description in [
            "ssl:443:privateKey=/nowhere",
            f"{self.description}:color=red",
            f"ssl:https:privateKey={self.key}:certKey={self.crt}",
            f"ssl:443:certKey={self.key}:privateKey={self.key}",
            "ssl",
            "unheard:1",
            "haproxy",
            "",
        ]:
            kinds: list[type] = []
            for make in (serverFromString, renewing):
                try:
                    make(self.reactor, description)
                except Exception as problem:
                    kinds.append(type(problem))
            self.assertEqual(len(kinds), 2, description)
            self.assertIs(kinds[0], kinds[1], description)

    def test_others(self) -> None:
        """
        Other endpoints are what they are.
        """
        made = renewing(self.reactor, "tcp:80")
        self.assertIs(type(made), TCP4ServerEndpoint)
        behind = renewing(self.reactor, "haproxy:tcp:80")
        self.assertIs(type(behind), type(serverFromString(self.reactor, "haproxy:tcp:80")))

    def test_reactor(self) -> None:
        """
        The endpoint within has the reactor itself, for those who exchange it.
        """
        endpoint: Any = renewing(self.reactor, self.description)
        [inner] = [each for each in vars(endpoint).values() if type(each) is SSL4ServerEndpoint]
        self.assertIn(self.reactor, vars(inner).values())

    def test_haproxy(self) -> None:
        """
        Behind haproxy it is the same.
        """
        renewing(self.reactor, f"haproxy:{self.description}").listen(Factory())
        [(port, factory, context, _, _)] = self.reactor.sslServers
        self.assertEqual((port, type(factory).__name__), (443, "HAProxyWrappingFactory"))
        self.assertEqual(self.hangUpWith(), shown(context.getContext()))


class DirectoryTests(EndpointTestCase):
    """
    C{tls:}.
    """

    if not hasattr(endpoints, "wrapServerTLS"):
        skip = "this Twisted has no tls: endpoint"

    def setUp(self) -> None:
        super().setUp()
        os.unlink(self.crt)
        os.unlink(self.key)
        self.write("site.pem", b"".join(self.old))

    def test_listen(self) -> None:
        """
        It is listened on as the description says, by a factory of TLS.
        """
        for words in ("{}:443:interface=127.0.0.1", "path={}:port=443:interface=127.0.0.1"):
            endpoint = renewing(self.reactor, "tls:" + words.format(self.folder))
            self.successResultOf(endpoint.listen(Factory()))
            port, factory, _, interface = self.reactor.tcpServers.pop()
            self.assertEqual((port, interface), (443, "127.0.0.1"))
            self.assertIsInstance(factory, TLSMemoryBIOFactory)

    def test_renewed(self) -> None:
        """
        The newest certificates are used for new connections.
        """
        endpoint: Any = renewing(self.reactor, f"tls:{self.folder}:443")
        endpoint.listen(Factory())
        new = pair(ends=THIRTY)
        self.write("site.pem", b"".join(new))
        self.hangUp()
        [creator] = [
            each
            for value in vars(endpoint).values()
            for each in vars(value).values()
            if isinstance(each, RenewedDirectory)
        ][:1]
        connection: SSL.Connection = creator.serverConnectionForTLS(None)
        self.assertEqual(shown(connection.get_context()), new[0])

    def test_unreadable(self) -> None:
        """
        What ours cannot read is refused.
        """
        self.write("site.pem", b"".join(self.old) + b"-----BEGIN ")
        with self.assertRaises(InvalidOption):
            RenewedDirectory(str(self.folder))


class LifeTests(EndpointTestCase):
    """
    Files are watched while somebody listens.
    """

    def setUp(self) -> None:
        super().setUp()
        self.reactor.run()
        endpoint = renewing(self.reactor, self.description)
        self.assertIsInstance(endpoint, RenewingEndpoint)
        self.endpoint: Any = endpoint

    def port(self) -> Any:
        """
        A port such as the reactor would make, with its factory.
        """

        class Port:
            factory = TLSMemoryBIOFactory(self.context(), False, Factory())

        Port.factory.doStart()
        return Port()

    def context(self) -> Any:
        return next(
            value
            for value in vars(self.endpoint._endpoint).values()
            if hasattr(value, "getContext")
        )

    def assertWatched(self, watched: bool) -> None:
        """
        By the signal, and (on Linux) by the kernel.
        """
        hooks, self.reactor.whenRunningHooks[:] = list(self.reactor.whenRunningHooks), []
        for hook, args, keywords in hooks:
            hook(*args, **keywords)
        taken = self.handlers[signal.SIGHUP] != signal.SIG_DFL
        self.assertEqual(taken, watched)
        if sys.platform.startswith("linux"):
            self.assertEqual(len(self.reactor.getReaders()), int(watched))

    def test_notBefore(self) -> None:
        """
        An endpoint that is not listened on touches nothing.
        """
        self.assertWatched(False)

    def test_whileListening(self) -> None:
        """
        It ends with the port, whose factory is stopped, and begins again with it.
        """
        port = self.endpoint._renewing.follow(self.port())
        self.assertWatched(True)
        port.factory.doStart()
        port.factory.doStop()
        self.assertWatched(True)
        port.factory.doStop()
        self.assertWatched(False)
        port.factory.doStart()
        self.assertWatched(True)

    def test_twoPorts(self) -> None:
        """
        Of two ports of an endpoint, the last one counts.
        """
        ports = [self.endpoint._renewing.follow(self.port()) for _ in range(2)]
        ports[0].factory.doStop()
        self.assertWatched(True)
        ports[1].factory.doStop()
        self.assertWatched(False)
