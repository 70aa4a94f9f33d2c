"""
What systemd is told of a stop.
"""

from __future__ import annotations

from terminable.systemd import INTERVAL
from tests.supervising import ObserverTestCase


class StopTests(ObserverTestCase):
    """
    The end.
    """

    def test_stopping(self) -> None:
        """
        The beginning of the stop is told, how far it is, and how long it may take; then how
        far it is once a second, and in the end what it came to.
        """
        server = self.serving(gracePeriod=20.0)
        server.connect()
        server.terminator.terminate()
        heard = self.systemd.heard()
        self.assertEqual(heard[0], "STOPPING=1")
        self.assertIn("EXTEND_TIMEOUT_USEC=25000000", heard)
        self.assertIn("STATUS=draining: 1 busy, 0 idle, 20.0 s left", heard[-1])
        self.pass_(2 * INTERVAL)
        heard = self.systemd.heard()
        self.assertEqual(len(heard), 2)
        self.assertIn("STATUS=draining: 1 busy, 0 idle, 18.0 s left", heard[1])
        server.factory.protocols[0].finish()
        self.pass_(0.125)
        self.assertEqual(
            self.systemd.heard(),
            ["STATUS=terminated: 0 idle, 1 finished, 0 aborted after 2.1 s"],
        )
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_reactorStops(self) -> None:
        """
        When the reactor stops, so do we, once, whoever begins.
        """
        server = self.serving()
        self.shutdown()
        self.assertEqual(self.systemd.heard(), ["STOPPING=1"])
        server.terminator.terminate()
        self.assertNotIn("STOPPING=1", self.systemd.heard())

    def test_oneOfSeveral(self) -> None:
        """
        When one of several stops, the process does not; the time that it needs is asked
        for, and the process stops with the last.
        """
        first, second = self.serving(gracePeriod=10.0), self.serve(gracePeriod=20.0)
        first.connect()
        second.connect()
        first.terminator.terminate()
        heard = self.systemd.heard()
        self.assertNotIn("STOPPING=1", heard)
        self.assertIn("EXTEND_TIMEOUT_USEC=15000000", heard)
        second.terminator.terminate()
        self.assertIn("STOPPING=1", self.systemd.heard())
        self.pass_(INTERVAL)
        (status,) = self.systemd.heard()
        self.assertEqual(status.count("draining: 1 busy"), 2)
        self.assertIn(" | ", status)

    def test_longestDeadline(self) -> None:
        """
        Of several deadlines the last one counts.
        """
        first, second = self.serving(gracePeriod=5.0), self.serve(gracePeriod=15.0)
        second.connect()
        first.connect()
        first.terminator.terminate()
        second.terminator.terminate()
        self.assertEqual(self.asked(), [10])
        self.pass_(6)
        self.assertEqual(self.asked(), [15])

    def test_suspended(self) -> None:
        """
        A server that is suspended does not stop.
        """
        server = self.serving()
        server.terminator.suspend()
        self.assertEqual(self.systemd.heard(), [])

    def test_again(self) -> None:
        """
        A terminator that serves again leaves no timer, and a second stop is shown like the
        first.
        """
        server = self.serving(idleGrace=0.0)
        server.terminator.terminate()
        self.pass_(0.5)
        server.wrapped = server.terminator.wrap(server.factory)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.systemd.heard()
        server.connect()
        server.terminator.terminate()
        self.assertIn("EXTEND_TIMEOUT_USEC=30000000", self.systemd.heard())

    def test_far(self) -> None:
        """
        For a long grace period systemd is asked again and again, never for more than half a
        minute, and never for long beyond the deadline.
        """
        server = self.serving(gracePeriod=60.0)
        server.connect()
        server.terminator.terminate()
        self.assertEqual(self.asked(), [30])
        self.pass_(59)
        asked = self.asked()
        self.assertEqual(asked[0], 30)
        self.assertTrue(5 <= asked[-1] < 30)
        self.pass_(5)
        self.assertEqual(self.asked(), [])

    def test_noDeadline(self) -> None:
        """
        Without a deadline systemd is asked for as long as connections end.
        """
        server = self.serving(gracePeriod=None)
        for _ in range(2):
            server.connect()
        server.terminator.terminate()
        self.assertEqual(self.asked(), [30])
        self.pass_(20)
        self.assertEqual(self.asked(), [30])
        server.factory.protocols[0].finish()
        self.pass_(20)
        self.assertEqual(self.asked(), [30])
        self.pass_(60)
        self.assertEqual(self.asked(), [30])

    def test_abort(self) -> None:
        """
        Also an end at once has the time that it needs.
        """
        server = self.serving()
        server.connect()
        server.terminator.abort()
        self.assertEqual(self.asked(), [5])

    def test_noRoomToAsk(self) -> None:
        """
        What could not be asked for is asked for a second later.
        """
        server = self.serving(gracePeriod=10.0)
        server.connect()
        self.systemd.fill()
        server.terminator.terminate()
        self.assertEqual(self.asked(), [])
        self.reactor.advance(INTERVAL)
        self.assertEqual(self.asked(), [14])
