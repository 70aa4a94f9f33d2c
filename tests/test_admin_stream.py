"""
Events at the admin door.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred

from terminable.admin import stream
from tests.adminasking import AdminTestCase, Talk, question, unchunked


class StreamTests(AdminTestCase):
    """
    What watchers are told.
    """

    def watch(self) -> Talk:
        talk = self.talk()
        talk.say(question("/events"))
        return talk

    def events(self, talk: Talk) -> list[tuple[str, Any]]:
        """
        @return: the events that have come since this was last asked.
        """
        heard = talk.heard()
        if heard.startswith(b"HTTP/1.1 200 OK"):
            head, _, heard = heard.partition(b"\r\n\r\n")
            self.assertIn(b"Content-Type: text/event-stream", head)
            self.assertTrue(unchunked(heard).startswith(b"retry: "))
        found = []
        for block in unchunked(heard).decode().split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.splitlines())
            if "event" in fields:
                found.append((fields["event"], json.loads(fields["data"])))
        return found

    def phases(self, talk: Talk) -> list[str]:
        return [values["phase"] for name, values in self.events(talk) if name == "status"]

    def test_first(self) -> None:
        """
        How things stand is told at once, once.
        """
        self.listen()
        self.connect(busy=True)
        [(name, status)] = self.events(self.watch())
        self.assertEqual((name, status["phase"], status["busy"]), ("status", "serving", 1))

    def test_serving(self) -> None:
        """
        While nothing happens, every five seconds.
        """
        self.listen()
        talk = self.watch()
        self.events(talk)
        for _ in range(3):
            self.clock.advance(4.5)
            self.assertEqual(self.events(talk), [])
            self.clock.advance(0.5)
            self.assertEqual(self.phases(talk), ["serving"])

    def test_stop(self) -> None:
        """
        Every phase, the end of the ports, and the report; in between, every second.
        """
        self.listen()
        client = self.connect(busy=True, delay=None)
        talk = self.watch()
        self.events(talk)
        self.terminator.terminate()
        self.clock.advance(0.1)
        self.assertEqual(self.phases(talk)[-1], "draining")
        for _ in range(3):
            self.clock.advance(1.0)
            [(_, status)] = self.events(talk)
            self.assertEqual(status["phase"], "draining")
        self.world.factory.protocols[0].finish()
        client.end()
        self.clock.advance(0.1)
        told = [values for _, values in self.events(talk)]
        self.assertEqual(told[-1]["phase"], "terminated")
        self.assertEqual(told[-1]["report"]["finished"], 1)

    def test_slowCount(self) -> None:
        """
        While it takes long to count, what was known before is told at once.
        """
        self.listen()
        self.connect(busy=True)
        counting: Deferred[None] = Deferred()
        self.watched.census.fresh = lambda: counting  # type: ignore[method-assign]
        talk = self.watch()
        self.assertEqual([values["busy"] for _, values in self.events(talk)], [0])
        self.watched.census.counts = {"busy": 1}
        counting.callback(None)
        self.assertEqual([values["busy"] for _, values in self.events(talk)], [1])

    def test_end(self) -> None:
        """
        The last event says so, and the connection is free for something else.
        """
        self.listen()
        talk = self.watch()
        self.events(talk)
        self.api.stream.end()
        self.assertEqual([name for name, _ in self.events(talk)], ["status", "end"])
        self.assertEqual(len(self.api.stream), 0)
        self.assertEqual(talk.ask(question("/live")).code, 200)

    def test_nobody(self) -> None:
        """
        With nobody watching, nothing is done.
        """
        self.listen()
        first, second = self.watch(), self.watch()
        self.assertEqual(len(self.api.stream), 2)
        first.transport.loseConnection()
        second.transport.loseConnection()
        self.assertEqual(len(self.api.stream), 0)
        self.clock.advance(2.0)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.api.stream.end()

    def test_most(self) -> None:
        """
        One too many is told to come again.
        """
        self.patch(stream, "MOST", 2)
        talks = [self.watch(), self.watch()]
        answer = self.get("/events")
        self.assertEqual((answer.code, answer.headers["retry-after"]), (503, "1"))
        talks[0].transport.loseConnection()
        self.assertEqual(len(self.events(self.watch())), 1)

    def test_slow(self) -> None:
        """
        What a watcher does not take waits, up to a bound; then it is dropped, and the others are
        not.
        """
        self.listen()
        slow, quick = self.watch(), self.watch()
        self.events(slow)
        slow.transport.producer.pauseProducing()
        for _ in range(stream.QUEUE):
            self.watched.tell()
        self.assertEqual(slow.heard(), b"")
        self.watched.tell()
        self.assertTrue(slow.transport.aborted)
        self.assertFalse(quick.transport.aborted)
        self.assertEqual(len(self.api.stream), 1)
        self.assertEqual(len(self.events(quick)), stream.QUEUE + 2)

    def test_again(self) -> None:
        """
        One who takes again gets what has waited, in order.
        """
        self.listen()
        talk = self.watch()
        self.events(talk)
        talk.transport.producer.pauseProducing()
        self.watched.tell()
        self.terminator.suspend()
        self.clock.advance(0)
        self.assertEqual(talk.heard(), b"")
        talk.transport.producer.resumeProducing()
        self.assertEqual(self.phases(talk)[0], "serving")
        self.watched.tell()
        self.assertEqual(self.phases(talk), ["suspended"])

    def test_endOfSlow(self) -> None:
        """
        At the end, what has waited is written all the same.
        """
        self.listen()
        talk = self.watch()
        self.events(talk)
        talk.transport.producer.pauseProducing()
        self.watched.tell()
        self.api.stream.end()
        self.assertEqual([name for name, _ in self.events(talk)], ["status", "status", "end"])

    def test_endOfDropped(self) -> None:
        """
        Who has just been dropped hears of no end.
        """
        self.listen()
        talk = self.watch()
        self.events(talk)
        talk.transport.producer.pauseProducing()
        talk.transport.loseConnection = lambda: None  # type: ignore[method-assign]
        for _ in range(stream.QUEUE + 2):
            self.watched.tell()
        self.api.stream.end()
        self.assertEqual(talk.heard(), b"")

    def test_producing(self) -> None:
        """
        A connection that is over has nothing produced for it.
        """
        self.listen()
        talk = self.watch()
        self.events(talk)
        talk.transport.producer.stopProducing()
        self.watched.tell()
        self.assertEqual(talk.heard(), b"")

    def test_upgrade(self) -> None:
        """
        An upgrade is news.
        """
        self.listen()
        talk = self.watch()
        self.events(talk)
        self.watched.upgraded("under way")
        [(_, status)] = self.events(talk)
        self.assertEqual(status["upgrade"], "under way")

    def test_brokenListener(self) -> None:
        """
        One who fails costs the others nothing.
        """
        self.listen()
        self.watched.addListener(lambda: 1 / 0)
        talk = self.watch()
        self.events(talk)
        self.watched.tell()
        self.assertEqual(len(self.events(talk)), 1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
