"""
Nothing that was recorded is lost, however often those who work on it are ended by force.
"""

from __future__ import annotations

import http.client
import random
import signal
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from tests.live.clients import HOST
from tests.live.databases import database
from tests.live.processes import PATIENCE, LiveTestCase, Server, eventually, freePort
from tests.live.spoolworker import RUN, keyOf

ITEMS = 10_000
KEYS = 40
KILLS = 5

#: Seconds that all the work may take.
LONGEST = 180.0

PROGRAM = (sys.executable, "-m", "tests.live.spoolworker")


class Notes:
    """
    What workers have noted.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen = 0
        self._place = 0

    def ends(self) -> int:
        """
        How often an item was done until now.
        """
        if self.path.exists():
            with self.path.open("rb") as file:
                file.seek(self._place)
                text = file.read()
            self._place += len(text)
            self._seen += text.count(b"end ")
        return self._seen

    def lines(self) -> list[list[str]]:
        """
        Word, process, number and key of each note.
        """
        return [line.split() for line in self.path.read_text().splitlines()]


class Producer(threading.Thread):
    """
    Posts some of the numbers one after the other, each until there is an answer.

    @ivar refused: the answers that were no 202.
    """

    def __init__(self, port: int, numbers: Iterable[int]) -> None:
        super().__init__(daemon=True)
        self._port = port
        self._numbers = list(numbers)
        self._connection: http.client.HTTPConnection | None = None
        self.refused: list[int] = []

    def run(self) -> None:
        for number in self._numbers:
            headers = {"Idempotency-Key": str(number)}
            key = keyOf(number, KEYS)
            if key is not None:
                headers["Spool-Key"] = key
            deadline = time.monotonic() + PATIENCE
            while not self._post(str(number), headers) and time.monotonic() < deadline:
                time.sleep(0.02)

    def _post(self, body: str, headers: dict[str, str]) -> bool:
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection(HOST, self._port, timeout=PATIENCE)
            self._connection.request("POST", "/", body, headers)
            with self._connection.getresponse() as answer:
                answer.read()
        except (OSError, http.client.HTTPException):
            if self._connection is not None:
                self._connection.close()
            self._connection = None
            return False
        if answer.status != 202:
            self.refused.append(answer.status)
        return True


class SpoolTestCase(LiveTestCase):
    """
    Starts workers, and reads what they have noted.
    """

    def setUp(self) -> None:
        self.notes = Notes(self.directory() / "notes")
        self.killed: set[str] = set()

    def worker(self, address: str, *words: str) -> Server:
        """
        Start one.
        """
        path = str(self.notes.path)
        return self.launch("work", address, path, *words, program=PROGRAM)

    def kill(self, worker: Server) -> None:
        """
        End one by force.
        """
        self.killed.add(str(worker.process.pid))
        worker.send(signal.SIGKILL)
        worker.gone()

    def moments(self, count: int, items: int) -> list[int]:
        """
        How many items are to be done when somebody is ended.
        """
        return sorted(random.sample(range(items // 20, items - items // 20), count))

    def awaitEnds(self, count: int, *workers: Server) -> None:
        """
        Return when so many items are done.
        """
        if not eventually(lambda: self.notes.ends() >= count, LONGEST):
            logs = "\n".join(worker.log()[-2000:] for worker in workers)
            raise AssertionError(f"{self.notes.ends()} of {count}\n{logs}")

    def awaitAll(self, items: int, *workers: Server) -> None:
        """
        Return when all items are done, some of them perhaps more than once.
        """

        def done() -> bool:
            # Each that was ended by force may have done one for nothing.
            if self.notes.ends() < items:
                return False
            return len({line[2] for line in self.notes.lines() if line[0] == "end"}) >= items

        if not eventually(done, LONGEST):
            logs = "\n".join(worker.log()[-2000:] for worker in workers)
            raise AssertionError(f"{self.notes.ends()} of {items}\n{logs}")

    def assertOrder(self, items: int) -> None:
        """
        Every item was done, those of a key one at a time and in order; none was begun twice
        but because its process was ended.
        """
        lines = self.notes.lines()
        self.assertEqual({int(line[2]) for line in lines if line[0] == "end"}, set(range(items)))
        begun: dict[str, str] = {}
        ended: set[str] = set()
        inHand: dict[str, str] = {}
        last: dict[str, int] = {}
        for word, pid, number, key in lines:
            if word == "begin":
                if number in begun:
                    self.assertIn(begun[number], self.killed, f"{number} was done twice")
                begun[number] = pid
            else:
                ended.add(number)
            if key == "None":
                continue
            other = inHand.get(key)
            if word == "end":
                self.assertEqual(inHand.pop(key, number), number)
            elif other is not None:
                # Whoever had it in hand was ended before it could say so.
                self.assertEqual(other, number, f"{key}: {other} is not done yet")
            if word == "begin":
                inHand[key] = number
                self.assertGreaterEqual(int(number), last.get(key, -1), f"{key} is out of order")
                last[key] = int(number)
        self.assertEqual(inHand, {})


class SQLiteTests(SpoolTestCase):
    """
    A spool in a file.
    """

    def test_killed(self) -> None:
        """
        10,000 items are posted to a process that is ended by force five times: all are done, in
        order.
        """
        path, port = str(self.directory() / "spool.db"), freePort()
        # What a key is posted for is posted in order.
        parts = [[n for n in range(ITEMS) if n // RUN % KEYS % 8 == part] for part in range(8)]
        producers = [Producer(port, numbers) for numbers in parts]
        worker = self.worker(path, "3", str(port))
        for producer in producers:
            producer.start()
        for moment in self.moments(KILLS, ITEMS):
            self.awaitEnds(moment, worker)
            self.kill(worker)
            worker = self.worker(path, "3", str(port))
        for producer in producers:
            producer.join(LONGEST)
            self.assertEqual(producer.refused, [])
        self.awaitAll(ITEMS, worker)
        worker.send(signal.SIGTERM)
        worker.gone()
        self.assertOrder(ITEMS)

    def test_several(self) -> None:
        """
        Several processes work on one file, each with two items at once; who is ended leaves
        its items to the others.
        """
        path, items = str(self.directory() / "spool.db"), 1500
        workers = [self.worker(path, "2") for _ in range(3)]
        adding = self.launch("add", path, str(items), str(KEYS), program=PROGRAM)
        for moment in self.moments(2, items):
            self.awaitEnds(moment, adding, *workers)
            self.kill(workers.pop(0))
        self.awaitAll(items, adding, *workers)
        adding.gone()
        self.assertEqual(adding.status, 0, adding.log())
        self.assertOrder(items)


class PostgreSQLTests(SpoolTestCase):
    """
    A spool in a database.
    """

    def test_restarted(self) -> None:
        """
        When the server is ended by force and started again, the same processes go on.
        """
        server, items = database(self), 1000
        adding = self.launch("add", server.address, str(items), str(KEYS), program=PROGRAM)
        adding.gone(LONGEST)
        self.assertEqual(adding.status, 0, adding.log())
        workers = [self.worker(server.address, "2") for _ in range(2)]
        self.awaitEnds(items // 4, *workers)
        server.stop()
        time.sleep(0.3)
        ends = self.notes.ends()
        server.start()
        self.awaitAll(items, *workers)
        self.assertLess(ends, items)
        for worker in workers:
            self.assertIsNone(worker.status, worker.log())
            self.assertEqual(worker.log().count("is away"), 1, worker.log())
            self.assertEqual(worker.log().count("is back"), 1, worker.log())
            self.assertNotIn("Traceback", worker.log())

    def test_killed(self) -> None:
        """
        10,000 items are added faster than they are done by four processes, five of which are
        ended by force: all are done, in order, and none twice while its worker lived.
        """
        address = database(self).address
        workers = [self.worker(address, "1") for _ in range(4)]
        adding = self.launch("add", address, str(ITEMS), str(KEYS), program=PROGRAM)
        for moment in self.moments(KILLS, ITEMS):
            self.awaitEnds(moment, adding, *workers)
            self.kill(workers.pop(random.randrange(4)))
            workers.append(self.worker(address, "1"))
        self.awaitAll(ITEMS, adding, *workers)
        adding.gone()
        self.assertEqual(adding.status, 0, adding.log())
        for worker in workers:
            worker.send(signal.SIGTERM)
            worker.gone()
        self.assertOrder(ITEMS)
