"""
Questions that wait for the answer before.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from inspect import iscoroutine
from typing import Any

from twisted.internet.defer import Deferred, TimeoutError, fail
from twisted.python.failure import Failure

from terminable.errors import QueueFull
from terminable.pacing import settings


class _Question:
    """
    Something to send, and who wants the answer.
    """

    def __init__(self, gate: OneByOne, args: Any, kwargs: Any) -> None:
        self.args, self.kwargs = args, kwargs
        self.caller: Deferred[Any] = Deferred(lambda _: gate.withdraw(self))
        #: What the answer comes by, if it is not told.
        self.work: Deferred[Any] | None = None
        self.limit: Any = None

    def over(self, outcome: Any) -> None:
        """
        The answer has come, or never will.
        """
        if self.limit is not None and self.limit.active():
            self.limit.cancel()
        if not self.caller.called:
            self.caller.callback(outcome)


class OneByOne:
    """
    Sends the next question only when the last was answered.

    What C{send} returns says how the answer comes.  A Deferred or a coroutine (AMP, treq):
    by that.  C{None}, as of C{sendLine}: by L{answered} or L{failed}, which whoever reads
    the answers calls, in the order of the questions.  Anything else is the answer.

    A gate is for one connection: after L{lost} it takes no more questions.

    @ivar unanswered: how many questions were sent and not answered yet.
    @ivar waiting: how many wait to be sent.
    """

    def __init__(
        self,
        send: Callable[..., Any],
        atOnce: int = 1,
        waiting: int | None = None,
        timeLimit: float | None = None,
        reactor: Any = None,
    ) -> None:
        """
        @param send: sends one question.
        @param atOnce: how many may be unanswered at a time.
        @param waiting: how many may wait to be sent; C{None} for any number.
        @param timeLimit: how long an answer may take, in seconds from the moment at which the
            question is sent.  What C{send} returned is cancelled then.  Where answers are told
            apart by their order only, the gate is lost: the next answer might be the late one.
        @param reactor: by default the one that is installed; only used with a time limit.
        @raise InvalidOption: a setting that cannot be meant.
        """
        self._send = settings.function("send", send)
        self._atOnce = settings.whole("atOnce", atOnce)
        self._most = math.inf if waiting is None else settings.whole("waiting", waiting)
        self._limit = None if timeLimit is None else settings.seconds("timeLimit", timeLimit)
        self._clock = None if timeLimit is None else settings.clockOf(reactor)
        self._sent: deque[_Question] = deque()
        self._queue: deque[_Question] = deque()
        self._lost: Failure | None = None
        self._sending = False

    @property
    def unanswered(self) -> int:
        return len(self._sent)

    @property
    def waiting(self) -> int:
        return len(self._queue)

    def ask(self, *args: Any, **kwargs: Any) -> Deferred[Any]:
        """
        Send a question, now or when it is its turn.

        @return: fires with the answer.  It fails as C{send} does, or with what L{failed} or
            L{lost} was told; with L{twisted.internet.defer.TimeoutError} at the end of
            the time limit; with L{terminable.QueueFull} if too many wait.  Cancelling it
            takes a question out that waits.  If it was sent, what C{send} returned is
            cancelled too, or else the answer is ignored when it comes.
        """
        if self._lost is not None:
            return fail(self._lost)
        busy = self._queue or len(self._sent) >= self._atOnce
        if busy and len(self._queue) >= self._most:
            return fail(QueueFull(f"{len(self._queue)} questions are waiting"))
        question = _Question(self, args, kwargs)
        self._queue.append(question)
        self._next()
        return question.caller

    def answered(self, value: Any = None) -> bool:
        """
        The oldest question that was sent is answered.

        @return: whether there was one.
        """
        told = next((each for each in self._sent if each.work is None), None)
        if told is None:
            return False
        self._end(told, value)
        return True

    def failed(self, reason: Failure | BaseException) -> bool:
        """
        The answer to the oldest question that was sent is a failure.

        @return: whether there was one.
        """
        return self.answered(_failure(reason))

    def lost(self, reason: Failure | BaseException) -> None:
        """
        No answer will come any more: C{connectionLost} says so.  All questions fail with
        this reason, those that are asked later too.
        """
        if self._lost is not None:
            return
        self._lost = _failure(reason)
        questions = [*self._sent, *self._queue]
        self._sent.clear()
        self._queue.clear()
        for question in questions:
            question.over(self._lost)
            if question.work is not None:
                question.work.cancel()

    def withdraw(self, question: _Question) -> None:
        """
        Whoever has asked does not want to know any more.
        """
        if question in self._queue:
            self._queue.remove(question)
        elif question.work is not None:
            question.work.cancel()

    def _next(self) -> None:
        # An answer that is there at once comes back here: a loop, not a recursion.
        if self._sending:
            return
        self._sending = True
        while self._queue and len(self._sent) < self._atOnce:
            self._dispatch(self._queue.popleft())
        self._sending = False

    def _dispatch(self, question: _Question) -> None:
        self._sent.append(question)
        if self._limit is not None and self._clock is not None:
            question.limit = self._clock.callLater(self._limit, self._overdue, question)
        try:
            made = self._send(*question.args, **question.kwargs)
        except Exception:
            made = fail()
        if iscoroutine(made):
            made = Deferred.fromCoroutine(made)
        if isinstance(made, Deferred):
            question.work = made
            made.addBoth(lambda outcome: self._end(question, outcome))
        elif made is not None:
            self._end(question, made)

    def _end(self, question: _Question, outcome: Any) -> None:
        """
        A question is answered; it may be the turn of another.
        """
        if question in self._sent:
            self._sent.remove(question)
        question.over(outcome)
        self._next()

    def _overdue(self, question: _Question) -> None:
        late = Failure(TimeoutError(f"no answer within {self._limit:g} s"))
        if question.work is None:
            self.lost(late)
        else:
            question.over(late)
            question.work.cancel()


def _failure(reason: Failure | BaseException) -> Failure:
    return reason if isinstance(reason, Failure) else Failure(reason)
