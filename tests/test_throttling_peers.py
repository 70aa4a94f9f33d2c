"""
One limit for each peer.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from terminable.policy.limits import Limit
from terminable.throttling.peers import PEERS, Peers


class PeersTests(SynchronousTestCase):
    """
    L{Peers}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.peers = Peers(self.clock, Limit(messages=1, burst=10, per="peer"))

    def visit(self, peer: str, spends: float = 0.0) -> None:
        """
        Somebody comes, and goes.
        """
        self.peers.of(peer).spend(spends)
        self.peers.leave(peer)

    def test_shared(self) -> None:
        """
        All connections of a peer have one bucket, and other peers have others.
        """
        one, two = self.peers.of("a"), self.peers.of("a")
        self.assertIs(one, two)
        self.assertIsNot(one, self.peers.of("b"))
        self.assertEqual((one.rate, one.burst), (1.0, 10.0))
        self.assertEqual(len(self.peers), 2)

    def test_forgotten(self) -> None:
        """
        Who has left nothing is forgotten at once, when the last connection is over.
        """
        self.peers.of("a")
        self.peers.of("a")
        self.peers.leave("a")
        self.assertEqual(len(self.peers), 1)
        self.peers.leave("a")
        self.assertEqual(len(self.peers), 0)

    def test_remembered(self) -> None:
        """
        Who comes back does not have another burst, nor the rate for the time in between more
        than once.
        """
        self.visit("a", 10.0)
        self.clock.advance(3.0)
        self.assertEqual(self.peers.of("a").fill(3.0), 3.0)
        self.peers.leave("a")
        self.clock.advance(7.0)
        self.visit("a")
        self.assertEqual(len(self.peers), 0)

    def test_over(self) -> None:
        """
        For how long a peer has been over the limit is remembered too.
        """
        source = self.peers.of("a")
        source.over(0.0)
        self.peers.leave("a")
        self.assertIs(self.peers.of("a"), source)

    def test_bounded(self) -> None:
        """
        Whoever comes from very many addresses fills no memory, and takes no burst from
        those that are connected.
        """
        present = self.peers.of("present")
        present.spend(10.0)
        for number in range(20 * PEERS):
            self.visit(f"{number}", 5.0)
            self.assertLessEqual(len(self.peers), PEERS + 1)
        self.assertGreaterEqual(len(self.peers), PEERS // 2)
        self.assertIs(self.peers.of("present"), present)

    def test_leastGain(self) -> None:
        """
        If some have to be forgotten who would have less than others, it is those who would
        have most.
        """
        self.visit("greedy", 10.0)
        for number in range(PEERS):
            self.visit(f"{number}", 1.0 + number / PEERS)
        self.assertEqual(len(self.peers), PEERS // 2)
        self.assertEqual(self.peers.of("greedy").level, 0.0)
        self.assertEqual(self.peers.of("0").level, 10.0)
        self.assertLess(self.peers.of(f"{PEERS - 1}").level, 9.0)

    def test_fullOnes(self) -> None:
        """
        Nobody is, if there are enough who would have the same.
        """
        for number in range(PEERS // 2 + 1):
            self.visit(f"old {number}", 1.0)
        self.clock.advance(1.0)
        for number in range(PEERS // 2):
            self.visit(f"new {number}", 5.0)
        self.assertEqual(len(self.peers), PEERS // 2)
        self.assertEqual(self.peers.of("new 0").level, 5.0)
