"""
The HTTP/1.1 drainer under random requests, in random pieces, with the stop at a random
moment.
"""

from __future__ import annotations

import socket
from itertools import pairwise
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import Site

from terminable.interfaces import IDrainer
from tests.answers import Answer, Served, Shop, readAnswers, request
from tests.wire import Wire

QUIET = settings(
    deadline=None,
    max_examples=150,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@some.composite
def requests(draw: Any) -> list[tuple[bytes, bytes, bytes]]:
    """
    Requests: as written, with their method, and what they are answered with.
    """
    made = []
    for number in range(draw(some.integers(1, 6))):
        path = draw(some.sampled_from(["/now", "/later"])) + f"/{number}"
        kind = draw(some.sampled_from(["GET", "HEAD", "POST", "chunked"]))
        body = b"" if kind in ("GET", "HEAD") else draw(some.binary(min_size=1, max_size=40))
        if kind == "chunked":
            head = request(path, "POST", b"", "Transfer-Encoding: chunked")
            data = head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
            kind = "POST"
        else:
            data = request(path, kind, body)
        answer = b"" if kind == "HEAD" else path.encode("ascii") + b" " + body
        made.append((data, kind.encode("ascii"), answer))
    return made


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    """
    C{data}, cut at some points.
    """
    points = [0, *sorted({cut % len(data) for cut in cuts}), len(data)]
    return [data[a:b] for a, b in pairwise(points) if a < b]


CUTS = some.lists(some.integers(0, 10**6), max_size=12)
MOMENT = some.integers(0, 40)
ORDER = some.lists(some.booleans(), max_size=40)


def check(answers: list[Answer], made: list[Any], complete: int, over: bool) -> None:
    """
    The first C{complete} requests are answered, in order, once; the last one says
    close if the connection is over, and no other does.
    """
    assert [answer.body for answer in answers] == [body for _, _, body in made[:complete]]
    closes = [answer.closes for answer in answers]
    assert not any(closes[:-1]), closes
    if over and answers:
        assert closes[-1], "the last answer did not say so"


class FuzzTests(SynchronousTestCase):
    """
    G1 and G5 hold, however it comes.
    """

    @QUIET
    @given(requests(), CUTS, MOMENT, ORDER)
    def test_inMemory(
        self, made: list[Any], cuts: list[int], moment: int, order: list[bool]
    ) -> None:
        """
        Every request that was received in full is answered once, whatever was
        received of the next one, and the connection is lost behind the last answer.
        """
        served = Served()
        turns = list(order)
        data = b"".join(data for data, _, _ in made)
        taken = steps = 0
        waiting = pieces(data, cuts)

        def step(work: Any, *args: Any) -> None:
            nonlocal steps
            if steps == moment:
                served.hint()
            steps += 1
            work(*args)

        while waiting and not served.transport.disconnecting:
            if served.resource.waiting and turns and turns.pop():
                step(served.resource.finish)
            else:
                taken += len(waiting[0])
                step(served.send, waiting.pop(0))
        while served.resource.waiting:
            step(served.resource.finish)
        if steps <= moment:
            served.hint()
        over = served.transport.disconnecting
        complete, length = 0, 0
        for raw, _, _ in made:
            length += len(raw)
            complete += length <= taken
        check(served.answers(*(method for _, method, _ in made)), made, complete, over)
        served.drainer.drain()
        self.assertEqual(served.transport.disconnecting, not served.drainer.isBusy())

    @QUIET
    @given(requests(), CUTS, MOMENT, ORDER, some.sampled_from([5, 30, 100, 2**16]), some.booleans())
    def test_inTheKernel(
        self,
        made: list[Any],
        cuts: list[int],
        moment: int,
        order: list[bool],
        bufferSize: int,
        idleFirst: bool,
    ) -> None:
        """
        Every request that the client had sent before the last answer began is answered,
        whether we had read it or not.
        """
        shop = Shop()
        wire = Wire(Site(shop), family=socket.AF_UNIX)
        wire.transport.bufferSize = bufferSize
        drainer = IDrainer(wire.protocol)
        try:
            turns = list(order)
            data = b"".join(raw for raw, _, _ in made)
            for number, piece in enumerate(pieces(data, cuts)):
                # From the moment on everything is in the kernel at once.
                if number < moment:
                    wire.peer.send(piece)
                    if turns and turns.pop():
                        wire.read()
                    if shop.waiting and turns and turns.pop():
                        shop.finish()
                else:
                    if number == moment and idleFirst:
                        drainer.hint(lambda: None)
                    wire.peer.send(piece)
            drainer.hint(lambda: None)
            moved = True
            while moved:
                wire.pump()
                moved = bool(shop.waiting)
                if moved:
                    shop.finish()
            answers = readAnswers(wire.peer.received, [method for _, method, _ in made])
            check(answers, made, len(made), bool(wire.peer.over))
        finally:
            wire.close()
