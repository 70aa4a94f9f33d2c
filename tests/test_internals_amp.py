"""
The canary for what C{twisted.protocols.amp} calls private and we touch.
"""

from __future__ import annotations

from twisted.internet.error import ConnectionLost
from twisted.internet.testing import StringTransport
from twisted.protocols import amp
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from terminable.tracking import internals


class AMPTests(SynchronousTestCase):
    """
    C{twisted.protocols.amp}.
    """

    def setUp(self) -> None:
        self.protocol = amp.AMP()
        self.protocol.makeConnection(StringTransport())

    def test_outstanding(self) -> None:
        """
        C{_outstandingRequests} holds the calls of ours that are not answered; there are
        none when the connection is over.
        """
        self.assertEqual(self.protocol._outstandingRequests, {})
        self.assertEqual(internals.ampOutstanding(self.protocol), 0)
        answers = [self.protocol.callRemoteString(b"X") for _ in range(2)]
        self.assertEqual(internals.ampOutstanding(self.protocol), 2)
        self.protocol.dataReceived(amp.AmpBox(_answer=b"1").serialize())
        self.assertEqual(internals.ampOutstanding(self.protocol), 1)
        self.successResultOf(answers[0])
        self.protocol.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(internals.ampOutstanding(self.protocol), 0)
        self.failureResultOf(answers[1], ConnectionLost)

    def test_partialBox(self) -> None:
        """
        C{_currentBox} is the box of which a part was received, the same that is delivered
        when it is complete, and nothing between two.
        """
        delivered = []
        self.protocol.ampBoxReceived = delivered.append
        self.assertIsNone(internals.ampPartialBox(self.protocol))
        data = amp.AmpBox(_command=b"X", argument=b"Y").serialize()
        self.protocol.dataReceived(data[:-3])
        box = internals.ampPartialBox(self.protocol)
        self.assertIsNotNone(box)
        self.protocol.dataReceived(data[-3:])
        self.assertEqual(len(delivered), 1)
        self.assertIs(delivered[0], box)
        self.assertIsNone(internals.ampPartialBox(self.protocol))
