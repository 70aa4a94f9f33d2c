"""
What an application says of its own health.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from twisted.internet.defer import Deferred, gatherResults, maybeDeferred, succeed
from twisted.python.failure import Failure

from terminable.errors import InvalidOption

#: The longest detail that is told, in characters.
LONGEST = 200


class Finding(NamedTuple):
    """
    What came of one check.

    @ivar ok: whether all is well.
    @ivar detail: what is wrong, one line; an empty string if nothing is.
    """

    ok: bool
    detail: str = ""


class _Check:
    """
    One check, which is at work at most once at any time.
    """

    def __init__(self, function: Callable[[], Any], timeLimit: float, live: bool) -> None:
        self.function = function
        self.timeLimit = timeLimit
        self.live = live
        self._waiting: list[Deferred[Finding]] = []
        self._running = self._late = False

    def run(self, reactor: Any) -> Deferred[Finding]:
        """
        @return: fires with what came of it; never fails.
        """
        if self._late:
            # It was cancelled, and does not heed that.
            return succeed(self._tooLong())
        result: Deferred[Finding] = Deferred()
        self._waiting.append(result)
        if not self._running:
            self._running = True
            self._begin(reactor)
        return result

    def _begin(self, reactor: Any) -> None:
        answer: Deferred[Any] = maybeDeferred(self.function)

        def expire() -> None:
            self._late = True
            self._tell(self._tooLong())
            answer.cancel()

        call = reactor.callLater(self.timeLimit, expire)

        def over(result: Any) -> None:
            self._running = False
            if self._late:
                self._late = False
                return
            call.cancel()
            self._tell(_findingOf(result))

        answer.addBoth(over)

    def _tooLong(self) -> Finding:
        return Finding(False, f"it takes longer than {self.timeLimit:g} s")

    def _tell(self, finding: Finding) -> None:
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(finding)


def _findingOf(result: Any) -> Finding:
    if not isinstance(result, Failure):
        return Finding(True) if result else Finding(False, "it says no")
    words = " ".join(f"{type(result.value).__name__}: {result.getErrorMessage()}".split())
    return Finding(False, words[:LONGEST])


class Health:
    """
    The checks of an application.
    """

    def __init__(self, reactor: Any) -> None:
        """
        @param reactor: provides C{IReactorTime}.
        """
        self._reactor = reactor
        self._checks: dict[str, _Check] = {}

    def addCheck(
        self,
        name: str,
        function: Callable[[], Any],
        timeLimit: float = 1.0,
        live: bool = False,
    ) -> None:
        """
        Ask C{function} each time that somebody wants to know how this server is.

        It is not called again while an answer is awaited: whoever asks meanwhile gets the
        same one.

        @param name: what it is called in the answer.
        @param function: returns whether all is well, or a Deferred that fires with that.  What
            it raises, or fails with, is an answer too: no.
        @param timeLimit: seconds after which no answer is a no; a Deferred is cancelled.
        @param live: whether a no means that this process is beyond help, and should be
            started anew; by default, only that nothing should be sent to it now.
        @raise terminable.InvalidOption: one of them cannot be meant, or there is a check of
            that name.
        """
        if not isinstance(name, str) or not name or not name.isprintable():
            raise InvalidOption("name", name, "the name of a check, a line of text")
        if name in self._checks:
            raise InvalidOption("name", name, "the name of a check that is not there yet")
        if not callable(function):
            raise InvalidOption("function", function, "something to call without arguments")
        if not _isTime(timeLimit):
            raise InvalidOption("timeLimit", timeLimit, "a number of seconds above 0")
        self._checks[name] = _Check(function, float(timeLimit), bool(live))

    def removeCheck(self, name: str) -> None:
        """
        Ask no more.

        @raise KeyError: there is no such check.
        """
        del self._checks[name]

    def look(self, live: bool) -> Deferred[dict[str, Finding]]:
        """
        Run the checks, all at the same time.

        @param live: only those that tell whether this process is alive.
        @return: fires with what each has come to, by name; never fails.
        """
        chosen = {name: each for name, each in self._checks.items() if each.live or not live}
        running = [each.run(self._reactor) for each in chosen.values()]
        gathered: Deferred[list[Finding]] = gatherResults(running)
        return gathered.addCallback(lambda found: dict(zip(chosen, found, strict=True)))


def _isTime(value: object) -> bool:
    isNumber = isinstance(value, (int, float)) and not isinstance(value, bool)
    return isNumber and 0 < value < math.inf  # type: ignore[operator]


_known: WeakKeyDictionary[Any, Health] = WeakKeyDictionary()


def healthOf(reactor: Any) -> Health:
    """
    @return: the checks of the process in which C{reactor} runs, always the same object.
    """
    if reactor not in _known:
        _known[reactor] = Health(reactor)
    return _known[reactor]
