"""
Clients that never retry, each in a thread.

Only the standard library is needed.
"""

from __future__ import annotations

import itertools
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from terminable.testing.answers import Conversation, Wrong
from terminable.testing.tally import Lost, Settings, Tally

#: Seconds that a client waits after a failure: a server that is not there would otherwise be
#: asked thousands of times.
AFTER_FAILURE = 0.02

#: How many requests of each kind of failure are named; the others are counted.
NAMED = 1000


class Client(threading.Thread):
    """
    One client: it asks, waits for the answer, and asks again.

    @ivar done: when its last request that is over began, in monotonic seconds.
    @ivar asking: whether a request of its is under way.
    """

    done = 0.0
    asking = False

    def __init__(self, crowd: Crowd, kind: str, number: int) -> None:
        super().__init__(daemon=True)
        self._crowd = crowd
        self._settings = crowd.settings
        self._kind = kind
        self._pause = crowd.settings.pause if kind == "pausing" else 0.0
        self._talk: Conversation | None = None
        # They do not all ask for the same at the same time.
        turned = itertools.cycle(crowd.settings.targets)
        self._targets = itertools.islice(turned, number % len(crowd.settings.targets), None)

    def run(self) -> None:
        """
        Go on until the crowd stops.
        """
        over = self._crowd.stopping
        while not over.is_set():
            began = time.monotonic()
            fine = self._turn(next(self._targets), began)
            self.done = began
            if not fine or self._pause:
                over.wait(self._pause or AFTER_FAILURE)
        self._drop()

    def _drop(self) -> None:
        if self._talk is not None:
            self._talk.sock.close()
            self._talk = None

    def _turn(self, target: str, began: float) -> bool:
        talk = self._talk
        if talk is not None and talk.isOver():
            self._crowd.count("ended")
            self._drop()
        while True:
            fresh = self._talk is None
            try:
                self._write(target)
            except (OSError, ValueError) as problem:
                self._drop()
                if not fresh:
                    # It ended before the request was written.
                    self._crowd.count("ended")
                    continue
                self.asking = False
                self._fail("refused", target, _unreached(problem))
                return False
            return not self.asking or self._hear(target, began)

    def _write(self, target: str) -> None:
        self.asking = True
        if self._crowd.stopping.is_set():
            self.asking = False
            return
        if self._talk is None:
            self._talk = Conversation(self._settings)
            self._crowd.count("connections")
        self._talk.ask(self._request(target))

    def _request(self, target: str) -> bytes:
        asked = self._settings
        lines = [f"{asked.method} {target} HTTP/1.1", f"Host: {asked.hostname}", *asked.headers]
        if asked.body:
            lines.append(f"Content-Length: {len(asked.body)}")
        if self._kind == "fresh":
            lines.append("Connection: close")
        return "\r\n".join([*lines, "", asked.body]).encode("latin-1")

    def _hear(self, target: str, began: float) -> bool:
        assert self._talk is not None
        try:
            last = self._talk.answer(self._settings.method)
        except (OSError, EOFError, Wrong) as problem:
            self._fail("lost", target, _unanswered(problem, self._talk.heard))
            self._drop()
            return False
        finally:
            self.asking = False
        self._crowd.answered(self._kind, time.monotonic() - began)
        if last:
            self._crowd.count("told", self._kind != "fresh")
        if last or self._kind == "fresh":
            self._drop()
        return True

    def _fail(self, what: str, target: str, how: str) -> None:
        said, name, nth = "", "", 1
        if self._talk is not None:
            said, name = self._talk.said.decode("latin-1"), self._talk.name
            nth = self._talk.asked
        method = self._settings.method
        lost = Lost(time.monotonic(), self._kind, method, target, how, said, name, nth)
        self._crowd.failed(what, lost)


def _unreached(problem: Exception) -> str:
    if isinstance(problem, ConnectionRefusedError | FileNotFoundError):
        return "refused"
    return f"broken: {problem or type(problem).__name__}"


def _unanswered(problem: Exception, heard: int) -> str:
    if isinstance(problem, Wrong):
        return f"wrong: {problem}"
    if isinstance(problem, TimeoutError):
        return f"timeout after {heard} bytes"
    if isinstance(problem, EOFError | ssl.SSLError):
        return f"cut after {heard} bytes" if heard else "closed without an answer"
    return f"reset after {heard} bytes"


class Crowd:
    """
    The clients of one load.

    @ivar stopping: set when nobody is to ask any more.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.stopping = threading.Event()
        self._tally = Tally()
        self._lock = threading.Lock()
        kinds = {"keep-alive": settings.keepAlive, "pausing": settings.pausing}
        kinds["fresh"] = settings.fresh
        self._tally.answered = {kind: 0 for kind, count in kinds.items() if count}
        self._clients = [
            Client(self, kind, number) for kind, count in kinds.items() for number in range(count)
        ]

    # -- what clients tell

    def count(self, what: str, by: int = 1) -> None:
        """
        Something has happened.

        @param what: which number of a L{Tally} that is.
        """
        with self._lock:
            setattr(self._tally, what, getattr(self._tally, what) + by)

    def answered(self, kind: str, seconds: float) -> None:
        """
        A client of that kind was answered in full.
        """
        with self._lock:
            self._tally.answered[kind] += 1
            self._tally.slowest = max(self._tally.slowest, seconds)

    def failed(self, what: str, lost: Lost) -> None:
        """
        A request was not answered, or could not be asked.

        @param what: C{lost} or C{refused}.
        """
        self.count(f"{what}Count")
        with self._lock:
            named: list[Lost] = getattr(self._tally, what)
            if len(named) < NAMED:
                named.append(lost)

    # -- what whoever wants a load asks for

    def start(self) -> None:
        """
        Begin, and return when each client has had one request answered, or not.
        """
        for client in self._clients:
            client.start()
        self._await(lambda client: client.done > 0.0)

    def again(self) -> None:
        """
        Return when each client has had one more request, that it began from now on, answered,
        or not.
        """
        now = time.monotonic()
        self._await(lambda client: client.done >= now)

    def stop(self) -> None:
        """
        Ask no more, and return when no request is under way any more.
        """
        self.stopping.set()
        self._await(lambda client: not client.asking)

    def tally(self) -> Tally:
        """
        @return: what became of the requests so far.
        """
        with self._lock:
            now = replace(self._tally, answered=dict(self._tally.answered))
            return replace(now, lost=list(now.lost), refused=list(now.refused))

    def _await(self, condition: Callable[[Client], bool]) -> None:
        # Each byte of an answer may take as long as the timeout.
        deadline = time.monotonic() + 3 * self.settings.timeout
        waiting: Sequence[Client] = self._clients
        while waiting and time.monotonic() < deadline:
            waiting = [client for client in waiting if not condition(client)]
            time.sleep(0.002)
