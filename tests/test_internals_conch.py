"""
The canary for C{twisted.conch}: the private names that we touch still exist, and mean what
we take them to mean.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from terminable.tracking import internals
from tests.secureshell import Link


class SSHTests(SynchronousTestCase):
    """
    SSH servers.
    """

    def setUp(self) -> None:
        self.link = Link()

    def test_heldBack(self) -> None:
        """
        C{_blockedByKeyExchange} is what is sent after the key exchange that is going on;
        C{None} without one.
        """
        self.link.pump()
        server = self.link.server
        self.assertIsNone(server._blockedByKeyExchange)
        self.assertFalse(internals.sshHeldBack(server))
        self.link.client.sendKexInit()
        self.link.toServer()
        self.assertEqual(server._blockedByKeyExchange, [])
        self.assertFalse(internals.sshHeldBack(server))
        server.sendPacket(80, b"x")
        self.assertEqual(server._blockedByKeyExchange, [(80, b"x")])
        self.assertTrue(internals.sshHeldBack(server))
        server.sendIgnore(b"x")
        self.assertEqual(len(server._blockedByKeyExchange), 1)

    def test_takeKeys(self) -> None:
        """
        C{_newKeys} uses C{nextEncryptions}, which has keys as soon as we have said so, and
        sends what was held back.
        """
        server = self.link.server
        while not server.sessionID:
            self.assertFalse(getattr(getattr(server, "nextEncryptions", None), "encBlockSize", 0))
            self.link.toClient()
            self.link.toServer()
        coming = server.nextEncryptions
        self.assertTrue(coming.encBlockSize)
        self.assertIsNot(server.currentEncryptions, coming)
        self.link.here.clear()
        internals.sshTakeKeys(server)
        self.assertIs(server.currentEncryptions, coming)
        self.assertFalse(internals.sshHeldBack(server))
        self.assertTrue(self.link.here.value())
