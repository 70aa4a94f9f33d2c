"""
Calls that are not made too often.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, maybeDeferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from terminable.errors import InvalidOption
from terminable.pacing import settings

_log = Logger()


class _Call:
    """
    One call of a function, which stands for all that were merged into it.
    """

    def __init__(self) -> None:
        self.args: Any = ()
        self.kwargs: Any = {}
        self._callers: list[Deferred[Any]] = []
        self._outcome: list[Any] = []

    def join(self) -> Deferred[Any]:
        """
        One more who wants the result.
        """
        caller: Deferred[Any] = Deferred(self._leave)
        if self._outcome:
            caller.callback(self._outcome[0])
        else:
            self._callers.append(caller)
        return caller

    def _leave(self, caller: Deferred[Any]) -> None:
        if caller in self._callers:
            self._callers.remove(caller)

    def make(self, function: Callable[..., Any]) -> None:
        """
        Call the function.
        """
        maybeDeferred(function, *self.args, **self.kwargs).addBoth(self._made, function)

    def _made(self, outcome: Any, function: Callable[..., Any]) -> None:
        if isinstance(outcome, Failure) and not self._callers:
            _log.failure("{function} failed", failure=outcome, function=function)
        self._outcome.append(outcome)
        self._tell(outcome)

    def _tell(self, outcome: Any) -> None:
        callers, self._callers = self._callers, []
        for caller in callers:
            # One of them may have cancelled another.
            if not caller.called:
                caller.callback(outcome)

    def forget(self) -> None:
        """
        It is not made.
        """
        self._tell(Failure(CancelledError()))


class Throttle:
    """
    A function that is not called more often than once in so many seconds; L{throttle}
    makes one.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        seconds: float,
        reactor: Any = None,
        leading: bool = True,
        trailing: bool = True,
    ) -> None:
        if not (leading or trailing):
            raise InvalidOption("leading", leading, "leading, trailing, or both")
        self._function = settings.function("function", function)
        self._seconds = settings.seconds("seconds", seconds)
        self._clock = settings.clockOf(reactor)
        self._leading = leading
        self._trailing = trailing
        # Runs while no call may go through at once.
        self._window: Any = None
        self._last = _Call()
        self._next: _Call | None = None

    @property
    def waiting(self) -> bool:
        """
        Whether a call waits for its time.
        """
        return self._next is not None

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        """
        Call the function, now or later, or have another call stand for this one.  If it
        fails, and nobody wants the result, the failure is logged, once.
        """
        self._ask(args, kwargs)
        self._begin()

    def result(self, *args: Any, **kwargs: Any) -> Deferred[Any]:
        """
        The same for those who want to know what became of it.

        @return: fires with the result of the call that stands for this one, or fails with its
            failure.  Cancelling it changes nothing but that.
        """
        caller = self._ask(args, kwargs).join()
        self._begin()
        return caller

    def flush(self) -> Deferred[Any]:
        """
        Make the call that waits now, and the next one no sooner than the usual time after.

        @return: fires with its result; with C{None} if none was waiting.
        """
        if self._next is None:
            return succeed(None)
        caller = self._next.join()
        self._make(self._next)
        return caller

    def cancel(self) -> None:
        """
        Do not make the call that waits: who wants its result gets a
        L{twisted.internet.defer.CancelledError}.  The next call goes through as the first
        one did.
        """
        self._close()
        call, self._next = self._next, None
        if call is not None:
            call.forget()

    def _ask(self, args: Any, kwargs: Any) -> _Call:
        """
        @return: the call that stands for this one.
        """
        if self._window is not None and not self._trailing:
            return self._last
        if self._next is None:
            self._next = _Call()
        self._next.args, self._next.kwargs = args, kwargs
        return self._next

    def _begin(self) -> None:
        """
        Nothing has been called for a while, unless a window is open.
        """
        if self._window is None and self._next is not None:
            if self._leading:
                self._make(self._next)
            else:
                self._open()

    def _make(self, call: _Call) -> None:
        self._last, self._next = call, None
        self._open()
        call.make(self._function)

    def _open(self) -> None:
        self._close()
        self._window = self._clock.callLater(self._seconds, self._over)

    def _over(self) -> None:
        self._window = None
        if self._next is not None:
            self._make(self._next)

    def _close(self) -> None:
        if self._window is not None:
            self._window.cancel()
            self._window = None


def throttle(
    function: Callable[..., Any],
    seconds: float,
    reactor: Any = None,
    leading: bool = True,
    trailing: bool = True,
) -> Throttle:
    """
    Call something no more often than once in so many seconds.

    The first call goes through at once; those that come within C{seconds} of it are merged
    into one, made when the time is over, with the arguments of the newest.  The time counts
    from when the function is called, not from when its Deferred fires.

    @param function: what to call; may return a Deferred, or be a coroutine function.
    @param reactor: by default the one that is installed.
    @param leading: whether a call goes through at once, if there was none for C{seconds};
        otherwise it is made C{seconds} later, with what is newest then.
    @param trailing: whether the calls in between are made at all; otherwise the one that
        went through stands for them.
    @return: is called like the function, and returns nothing: failures are logged.  Its
        C{result(...)} is the same with a Deferred of the result; C{flush()} makes a call that
        waits at once, C{cancel()} forgets it, C{waiting} says whether there is one.
    @raise InvalidOption: C{seconds} is no time, C{function} no function, or neither
        C{leading} nor C{trailing} is wanted.
    """
    return Throttle(function, seconds, reactor, leading, trailing)
