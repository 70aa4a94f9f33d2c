"""
The HTTP/2 drainer: what it tells of a connection.
"""

from __future__ import annotations

from zope.interface.verify import verifyObject

from terminable.drainers.http2 import HTTP2Drainer
from terminable.interfaces import IHintingDrainer
from tests.frames import HTTP2TestCase, bodies, data


class StateTests(HTTP2TestCase):
    """
    What L{HTTP2Drainer} tells of a connection.
    """

    def test_theInterface(self) -> None:
        """
        It is a hinting drainer, and an idle connection has something to say.
        """
        self.assertTrue(verifyObject(IHintingDrainer, self.drainer))
        self.assertFalse(self.drainer.silent)
        self.assertFalse(self.drainer.upgraded)
        self.assertFalse(self.drainer.lasting)

    def test_busyWithAStream(self) -> None:
        """
        It is busy while a stream is open.
        """
        self.assertFalse(self.drainer.isBusy())
        self.ask(1)
        self.assertTrue(self.drainer.isBusy())
        self.finish()
        self.assertFalse(self.drainer.isBusy())
        self.assertEqual(bodies(self.frames()), {1: b"/later/1 "})

    def test_busyWithAnUpload(self) -> None:
        """
        It is busy while a stream is still being received, also after the hint.
        """
        self.send(self.client.get(1, "/later/up", last=False, method="PUT"))
        self.hint()
        self.assertTrue(self.drainer.isBusy())
        self.assertEqual(self.shop.served, [])
        self.send(data(1, b"body"))
        self.finish()
        self.assertFalse(self.drainer.isBusy())
        self.assertEqual(bodies(self.frames()), {1: b"/later/up body"})

    def test_describe(self) -> None:
        """
        The first three streams are named, the others counted.
        """
        self.assertEqual(self.drainer.describe(), "")
        self.ask(1)
        self.assertEqual(self.drainer.describe(), "GET /later/1")
        for stream in (3, 5, 7, 9):
            self.send(self.client.get(stream, f"/later/{stream}", method="PUT"))
        self.assertEqual(
            self.drainer.describe(),
            "GET /later/1, PUT /later/3, PUT /later/5, 2 more streams",
        )

    def test_describeWhatHasNoTarget(self) -> None:
        """
        A stream without a target is only counted, whatever comes after it is named.
        """
        self.send(self.client.get(1, None, last=False, method="CONNECT"))
        self.assertEqual(self.drainer.describe(), "1 more streams")
        self.ask(3)
        self.assertEqual(self.drainer.describe(), "GET /later/3, 1 more streams")

    def test_describeForPeople(self) -> None:
        """
        Of a long target the beginning is shown, and what is not ASCII is written out.
        """
        self.send(self.client.get(1, "/later/\N{SNOWMAN}" + "x" * 300))
        shown = self.drainer.describe()
        self.assertTrue(shown.startswith("GET /later/\\xe2\\x98\\x83xxx"), shown)
        self.assertEqual(shown.count("x" * 190), 1)
        self.assertLess(len(shown), 220)

    def test_describeUnfinished(self) -> None:
        """
        What is no text yet is left out.
        """
        self.ask(1)
        [stream] = self.channel.streams.values()
        stream.command = None
        self.assertEqual(self.drainer.describe(), "/later/1")

    def test_answered(self) -> None:
        """
        Streams that were opened since the hint have been answered, those before do not count.
        """
        self.assertFalse(self.drainer.answered)
        self.ask(1)
        self.hint()
        self.assertFalse(self.drainer.answered)
        self.ask(3)
        self.assertTrue(self.drainer.answered)
        self.assertTrue(HTTP2Drainer(self.channel).answered)
