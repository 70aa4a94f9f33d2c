"""
A spool on the web, in memory.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from terminable.spool import Spool, SpoolResource, SQLiteStore
from tests.answers import Answer, Served, readAnswers, request
from tests.spooldoubles import InlineThread, SpoolReactor


class ResourceTestCase(SynchronousTestCase):
    """
    Has a spool on the web, whose work is done when the test says so.
    """

    def setUp(self) -> None:
        self.reactor = SpoolReactor()

    def serve(self, work: Any = None, rate: Any = None, most: int = 9, **settings: Any) -> Served:
        """
        Serve a spool.
        """
        store = SQLiteStore(
            self.reactor, self.mktemp(), now=self.reactor.seconds, makeThread=InlineThread
        )
        self.spool = Spool(self.reactor, store, work, rate=rate, most=most, attempts=1)
        self.spool.startService()
        self.addCleanup(self.stop)
        return Served(SpoolResource(self.spool, **settings))

    def stop(self) -> None:
        """
        Stop the spool.
        """
        stopped = self.spool.stopService()
        self.reactor.settle()
        self.successResultOf(stopped)

    def ask(self, served: Served, *arguments: Any) -> Answer:
        """
        @return: the answer to a request.
        """
        served.transport.clear()
        served.protocol.dataReceived(request(*arguments))
        self.reactor.settle()
        (answer,) = readAnswers(served.transport.value(), [request(*arguments).split()[0]])
        return answer

    def post(self, served: Served, body: bytes = b"x", *headers: str) -> Answer:
        """
        @return: the answer to a POST.
        """
        return self.ask(served, "/", "POST", body, *headers)

    def told(self, served: Served, *arguments: Any) -> Any:
        """
        @return: what a JSON answer says.
        """
        answer = self.ask(served, *arguments)
        self.assertEqual(answer.headers[b"content-type"], b"application/json")
        return json.loads(answer.body)
