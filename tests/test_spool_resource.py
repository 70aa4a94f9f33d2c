"""
The spool on the web: POST.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.web.resource import Resource

from tests.answers import Served, request
from tests.doubles import Boom
from tests.spoolserving import ResourceTestCase


class PostTests(ResourceTestCase):
    """
    POST.
    """

    def test_recorded(self) -> None:
        """
        A body is recorded, and its client told where to ask.
        """
        served = self.serve()
        answer = self.post(served, b"\0body", "Content-Type: image/png", "Spool-Key: k")
        self.assertEqual(answer.status, 202)
        told = json.loads(answer.body)
        place = answer.headers[b"location"].decode()
        self.assertEqual(place, f"/{told['id']}")
        self.assertEqual(told, {"id": told["id"], "state": "waiting", "attempts": 0})
        self.assertEqual(answer.headers[b"retry-after"], b"1")
        self.assertEqual(answer.headers[b"cache-control"], b"no-store")
        asked = self.spool.look(told["id"])
        self.reactor.settle()
        item = self.successResultOf(asked)
        assert item is not None
        self.assertEqual((item.payload, item.contentType), (b"\0body", "image/png"))
        self.assertEqual(item.key, "k")

    def test_notBefore(self) -> None:
        """
        There is no answer before it is on the disk.
        """
        served = self.serve()
        served.protocol.dataReceived(request("/", "POST", b"x"))
        self.assertEqual(served.transport.value(), b"")
        self.reactor.settle()
        self.assertIn(b" 202 ", served.transport.value())

    def test_empty(self) -> None:
        """
        An empty body without a type is one, too.
        """
        self.assertEqual(self.post(self.serve(), b"").status, 202)

    def test_place(self) -> None:
        """
        The place is below that of the resource, wherever that is.
        """
        served = self.serve()
        root, child = Resource(), Resource()
        root.putChild(b"a b", child)
        child.putChild(b"spool", served.resource)
        served = Served(root)
        for path in ("/a%20b/spool", "/a%20b/spool/", "/a%20b/spool/more"):
            answer = self.ask(served, path, "POST", b"x")
            place = answer.headers[b"location"].decode()
            self.assertRegex(place, r"\A/a%20b/spool/[0-9a-f]{32}\Z")
            self.assertEqual(self.told(served, place)["state"], "waiting")

    def test_tooLong(self) -> None:
        """
        A body that is too long is told so, and not recorded.
        """
        served = self.serve(mostBytes=3)
        self.assertEqual(self.post(served, b"abc").status, 202)
        answer = self.post(served, b"abcd")
        self.assertEqual(answer.status, 413)
        self.assertEqual(json.loads(answer.body), {"error": "more than 3 bytes"})
        self.assertEqual(self.progress().waiting, 1)

    def progress(self) -> Any:
        """
        @return: how the spool stands.
        """
        asked = self.spool.progress()
        self.reactor.settle()
        return self.successResultOf(asked)

    def test_full(self) -> None:
        """
        A full spool sends everybody away for a while.
        """
        served = self.serve(most=1, retryAfter=7)
        self.post(served)
        answer = self.post(served)
        self.assertEqual((answer.status, answer.headers[b"retry-after"]), (503, b"7"))
        self.assertIn(b"full", answer.body)

    def test_away(self) -> None:
        """
        So does one whose database is away, whose reasons stay here.
        """
        served = self.serve()
        self.stop()
        answer = self.post(served)
        self.assertEqual((answer.status, answer.headers[b"retry-after"]), (503, b"5"))
        self.assertEqual(json.loads(answer.body), {"error": "the spool is away"})

    def test_mistake(self) -> None:
        """
        A mistake of ours is logged, and costs this request.
        """

        def broken(request: object) -> None:
            raise Boom

        answer = self.post(self.serve(keyOf=broken))
        self.assertEqual(answer.status, 500)
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 1)

    def test_badKey(self) -> None:
        """
        A key that cannot be recorded is the client's mistake.
        """
        answer = self.post(self.serve(), b"x", "Spool-Key: " + "x" * 300)
        self.assertEqual(answer.status, 400)
        self.assertIn(b"key", answer.body)

    def test_noText(self) -> None:
        """
        Nor is there one that is no text.
        """
        served = self.serve()
        head = request("/", "POST", b"x", "Spool-Key: @").replace(b"@", b"\xff")
        served.protocol.dataReceived(head)
        self.reactor.settle()
        self.assertIn(b" 400 ", served.transport.value())

    def test_keyOf(self) -> None:
        """
        The key may be found by a function.
        """
        served = self.serve(keyOf=lambda request: request.getHeader("x-who"))
        self.post(served, b"1", "X-Who: me")
        store: Any = self.spool._store
        taken = store.take()
        self.reactor.settle()
        self.assertEqual(self.successResultOf(taken).item.key, "me")

    def test_once(self) -> None:
        """
        A request that is repeated with its Idempotency-Key is recorded once; the second
        answer tells how it stands.
        """
        served = self.serve(lambda item: b"done")
        first = self.post(served, b"x", "Idempotency-Key: a/b")
        second = self.post(served, b"x", "Idempotency-Key: a/b")
        self.assertEqual(first.headers[b"location"], second.headers[b"location"])
        self.assertEqual(json.loads(second.body)["state"], "done")
        self.assertEqual(second.status, 202)
        self.assertEqual(self.progress().done, 1)

    def test_otherOnce(self) -> None:
        """
        Another request with the same one is refused; that of somebody else is none of theirs.
        """
        served = self.serve()
        first = self.post(served, b"x", "Idempotency-Key: a")
        answer = self.post(served, b"y", "Idempotency-Key: a")
        self.assertEqual(answer.status, 422)
        self.assertNotIn(b"location", answer.headers)
        answer = self.post(served, b"y", "Idempotency-Key: a", "Authorization: Basic eDp5")
        self.assertEqual(answer.status, 202)
        self.assertNotEqual(answer.headers[b"location"], first.headers[b"location"])

    def test_gone(self) -> None:
        """
        A client that does not wait for the answer has its body recorded.
        """
        served = self.serve()
        served.protocol.dataReceived(request("/", "POST", b"x"))
        served.protocol.connectionLost(Failure(ConnectionDone()))
        self.reactor.settle()
        self.assertEqual(served.transport.value(), b"")
        self.assertEqual(self.progress().waiting, 1)

    def test_otherMethods(self) -> None:
        """
        Nothing else is known.
        """
        answer = self.ask(self.serve(), "/", "DELETE")
        self.assertEqual((answer.status, answer.headers[b"allow"]), (405, b"GET, HEAD, POST"))
