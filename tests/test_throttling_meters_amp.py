"""
Boxes of AMP.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.protocol import Factory
from twisted.internet.ssl import KeyPair
from twisted.protocols import amp
from twisted.protocols.basic import LineOnlyReceiver

from tests.metering import Metered, MeterTestCase


class Add(amp.Command):
    """
    Adds one.
    """

    arguments = [(b"number", amp.Integer())]  # noqa: RUF012
    response = [(b"sum", amp.Integer())]  # noqa: RUF012


class Tell(amp.Command):
    """
    Wants no answer.
    """

    arguments = [(b"number", amp.Integer())]  # noqa: RUF012
    requiresAnswer = False


class Switch(amp.ProtocolSwitchCommand):
    """
    Another protocol, please.
    """

    response = []  # noqa: RUF012


class Lines(LineOnlyReceiver):
    """
    The other protocol.
    """

    def connectionMade(self) -> None:
        """
        It begins.
        """
        self.heard: list[bytes] = []

    def dataReceived(self, data: bytes) -> None:
        """
        Something, and never nothing.
        """
        assert data
        super().dataReceived(data)

    def lineReceived(self, line: bytes) -> None:
        """
        A line.
        """
        self.heard.append(line)


class Sums(amp.AMP):
    """
    The server.

    @ivar asked: what it was asked to add to.
    """

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []
        self.switchTo: Any = None

    @Add.responder
    def add(self, number: int) -> Any:
        """
        Add one.
        """
        self.asked.append(number)
        return {"sum": number + 1}

    @Tell.responder
    def tell(self, number: int) -> Any:
        """
        Be told.
        """
        self.asked.append(number)
        return {}

    @Switch.responder
    def switch(self) -> Any:
        """
        Switch.
        """
        self.switchTo = Lines()
        return self.switchTo


class Late(Sums):
    """
    One whose constructor was forgotten.
    """

    def __init__(self) -> None:
        self.asked = []


def box(**fields: Any) -> bytes:
    """
    A box as it is sent.
    """
    pairs = {name.encode(): value for name, value in fields.items()}
    return bytes(amp.Box(pairs).serialize())


def add(number: int, tag: bool = True) -> bytes:
    """
    A question.
    """
    fields: dict[str, Any] = {"_command": b"Add", "number": b"%d" % number}
    if tag:
        fields["_ask"] = b"%d" % number
    return box(**fields)


class AMPTests(MeterTestCase):
    """
    Questions that are more than allowed.
    """

    def boxes(self, made: Metered) -> list[dict[str, bytes]]:
        """
        What the client was sent since the last time.
        """
        found = amp.parseString(made.said())
        return [{key.decode(): value for key, value in each.items()} for each in found]

    def test_rate(self) -> None:
        """
        They are answered at their rate, in order.
        """
        for kind in (Sums, Late):
            for over in ("backpressure", "delay"):
                made = self.serve(kind, f"messages=10/s:burst=1:over={over}")
                made.send(b"".join(add(number) for number in range(5)))
                made.go(0.05)
                self.assertLess(len(made.protocol.asked), 3)
                made.go(0.5)
                self.assertEqual(made.protocol.asked, [0, 1, 2, 3, 4])
                sums = [each["sum"] for each in self.boxes(made)]
                self.assertEqual(sums, [b"1", b"2", b"3", b"4", b"5"])

    def test_quota(self) -> None:
        """
        Who asks too much is answered with an error; who wants no answer gets none.
        """
        made = self.serve(Sums, "messages=10/s:burst=1:over=quota")
        made.send(add(1) + add(2) + box(_command=b"Tell", number=b"3") + add(4))
        answered, *errors = self.boxes(made)
        self.assertEqual(answered["_answer"], b"1")
        self.assertEqual([each["_error"] for each in errors], [b"2", b"4"])
        self.assertEqual(errors[0]["_error_code"], b"QUOTA_EXCEEDED")
        self.assertEqual(errors[0]["_error_description"], b"try again in 1 s")
        self.assertEqual(made.protocol.asked, [1])
        self.assertEqual(made.counts.refused, 3)

    def test_disconnect(self) -> None:
        """
        Who has to go is answered so, and goes a moment later.
        """
        made = self.serve(Sums, "messages=10/s:burst=1:over=disconnect")
        made.send(add(1) + add(2) + add(3))
        self.assertEqual(len(self.boxes(made)), 2)
        made.go(1.1)
        self.assertEqual(made.peer.over, "FIN")

    def test_tooManyBytes(self) -> None:
        """
        Who goes for too many bytes has asked nothing that this could answer.
        """
        made = self.serve(Sums, "messages=99/s", "received=40/s:over=disconnect")
        made.send(add(1) + add(2))
        made.go(1.1)
        self.assertEqual(made.peer.over, "FIN")

    def test_answersPass(self) -> None:
        """
        What the client answers is not counted.
        """
        made = self.serve(Sums, "messages=10/s:burst=1:over=quota")
        answers: list[Any] = []
        for number in range(3):
            made.protocol.callRemote(Add, number=number).addCallback(answers.append)
        tags = [each["_ask"] for each in self.boxes(made)]
        made.send(b"".join(box(_answer=tag, sum=b"7") for tag in tags))
        self.assertEqual(answers, [{"sum": 7}] * 3)
        self.assertEqual(made.counts.refused, 0)

    def test_switched(self) -> None:
        """
        A question that switches to another protocol does so in its turn, and what stands
        behind it is for that one.
        """
        for over in ("backpressure", "delay"):
            made = self.serve(Sums, f"messages=10/s:burst=1:over={over}")
            made.send(add(1) + box(_command=b"Switch", _ask=b"2") + b"a\r\nb\r\n")
            made.go(0.3)
            self.assertEqual(made.protocol.switchTo.heard, [b"a", b"b"])
            made.send(b"c\r\nd\r\n")
            self.assertEqual(made.protocol.switchTo.heard, [b"a", b"b", b"c", b"d"])
            self.assertFalse(made.paused)

    def test_refusedWhileItSwitches(self) -> None:
        """
        Who is switching hears of nothing else.
        """
        made = self.serve(Sums, "messages=10/s:burst=1:over=quota")
        made.send(add(1))
        made.protocol.callRemote(Switch, Factory()).addErrback(lambda _: None)
        self.assertEqual(len(self.boxes(made)), 2)
        made.send(add(2))
        self.assertEqual(self.boxes(made), [])
        self.assertTrue(made.transport.connected)

    def test_startTLS(self) -> None:
        """
        A question that starts TLS is handled in its turn; what it says afterwards is
        counted as ever.
        """
        certificate = KeyPair.generate(size=2048).selfSignedCert(1, CN="localhost")

        class Secure(Sums):
            """
            One that can.
            """

            @amp.StartTLS.responder
            def start(self) -> Any:
                return {"tls_localCertificate": certificate}

        made = self.serve(Secure, "messages=10/s:burst=1:over=delay")
        made.send(add(1) + box(_command=b"StartTLS", _ask=b"2"))
        self.assertEqual(len(self.boxes(made)), 1)
        made.go(0.11)
        self.assertEqual([each["_answer"] for each in self.boxes(made)], [b"2"])
        from terminable.tracking.layers import tlsLayer

        self.assertIsNotNone(tlsLayer(made.transport))
        made.transport.abortConnection()
        made.pump()

    def test_drained(self) -> None:
        """
        A stop lets those be answered that were received before it.
        """
        made = self.serve(Sums, "messages=5/s:burst=1:over=delay")
        made.send(b"".join(add(number) for number in range(5)))
        made.stop()
        made.go(2.5)
        self.assertEqual(
            [each["_answer"] for each in self.boxes(made)], [b"%d" % n for n in range(5)]
        )
        made.leave()
        made.go(0.1)
        self.assertEqual(made.reports[0].aborted, 0)
