"""
Whether a server drops requests while something is done to it.

The clients run in a process of their own (L{terminable.testing.load}).
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from terminable.errors import InvalidOption
from terminable.testing.load import addressFrom
from terminable.testing.tally import Lost, Settings, Tally, since

#: How many of the requests that were dropped a failure shows.
SHOWN = 20

#: Seconds that the process of the clients has to end by itself.
ENDING = 2.0

#: Where this package lies; the process of the clients looks there last.
ROOT = str(Path(__file__).resolve().parents[2])

#: What that process runs, without anything that the environment or a site would add to it.
PROGRAM = "import sys; sys.path.append(sys.argv.pop()); \
from terminable.testing.load import main; sys.exit(main())"

ADDRESS = "(host, port), host:port, a URL, the path of a UNIX socket, an address of Twisted, \
or a server of terminable.testing"


class NotAnswered(AssertionError):
    """
    The clients got no answers before anything was done, so that nothing can be said.
    """


class Dropped(AssertionError):
    """
    Requests were dropped.

    @ivar lost: these; C{at} counts from the beginning of the action, in seconds.
    @ivar tally: what became of all of them.
    """

    def __init__(self, lost: Iterable[Lost], tally: Tally, address: str = "") -> None:
        """
        @param address: of the server, in words.
        """
        self.lost = tuple(lost)
        self.tally = tally
        what = f"requests were dropped ({tally})"
        if any(each.how != "refused" for each in self.lost):
            super().__init__(_named(what, self.lost))
        else:
            super().__init__(_refused(what, self.lost, address))


#: What is said where nothing was lost that had come to the server.
AWAY = "nobody listened for a while; for a plain stop say mayRefuse=True"


def _refused(what: str, refused: Iterable[Lost], address: str) -> str:
    """
    Connections that did not come about: those that differ by their time alone in one line.
    """
    times: dict[str, list[float]] = {}
    for each in refused:
        line = f"{each.kind}: {each.method} {each.target}: {each.how}"
        times.setdefault(line, []).append(each.at)
    where = f" at {address}" if address else ""
    shown = [f"{_during(at)}{line}{where}" for line, at in list(times.items())[:SHOWN]]
    if len(times) > SHOWN:
        shown.append(f"and {len(times) - SHOWN} more")
    return "\n  ".join([f"{what}: {AWAY}", *shown])


def _during(times: list[float]) -> str:
    if len(times) == 1:
        return f"{times[0]:.3f} s: "
    return f"{min(times):.3f} s to {max(times):.3f} s: {len(times)} times "


def _named(what: str, lost: tuple[Lost, ...]) -> str:
    shown = [str(each) for each in lost[:SHOWN]]
    if len(lost) > SHOWN:
        shown.append(f"and {len(lost) - SHOWN} more")
    return "\n  ".join([f"{what}:", *shown])


def whereIs(where: Any) -> dict[str, Any]:
    """
    The address of a server.

    @param where: C{(host, port)}, C{host:port}, a URL, the path of a UNIX socket, an
        C{IAddress} of Twisted, or a server of this package.
    @return: for L{Settings}.
    @raise InvalidOption: it is none of these.
    """
    secure = {"tls": True} if getattr(where, "secure", False) else {}
    address = getattr(where, "address", where)
    if hasattr(address, "host") and hasattr(address, "port"):
        address = (address.host, address.port)
    elif isinstance(name := getattr(address, "name", None), bytes):
        address = name
    if isinstance(address, tuple) and len(address) == 2:
        return {"host": str(address[0]), "port": int(address[1]), **secure}
    try:
        if isinstance(address, os.PathLike | bytes):
            return {"path": os.path.abspath(os.fsdecode(address)), **secure}
        return {**addressFrom(address), **secure}
    except (ValueError, AttributeError, TypeError):
        raise InvalidOption("where", where, ADDRESS) from None


def _settings(where: Any, options: dict[str, Any]) -> Settings:
    known = sorted({*asdict(Settings())} - {"host", "port", "path"})
    for name in options:
        if name not in known:
            raise InvalidOption(name, options[name], f"one of {', '.join(known)}")
    for name in ("keepAlive", "pausing", "fresh"):
        if not _isNumber(options.get(name, 0), int):
            raise InvalidOption(name, options[name], "a number of clients, 0 or more")
    for name in ("pause", "timeout"):
        if not _isNumber(options.get(name, 0), (int, float)):
            raise InvalidOption(name, options[name], "a number of seconds, 0 or more")
    for name in ("body", "expect"):
        if isinstance(options.get(name), bytes):
            options[name] = options[name].decode("latin-1")
    for name in ("targets", "headers"):
        if isinstance(options.get(name), str):
            options[name] = (options[name],)
    settings = Settings(**{**whereIs(where), **options})
    if not settings.targets:
        raise InvalidOption("targets", settings.targets, "something to ask for")
    if not settings.keepAlive + settings.pausing + settings.fresh:
        raise InvalidOption("keepAlive", 0, "at least one client of any kind")
    return settings


def _isNumber(value: Any, kind: Any) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool) and 0 <= value < float("inf")


class Load:
    """
    Clients that ask a server all the time, in a process of their own; a context manager.

    Each method blocks until it is done.
    """

    def __init__(self, where: Any, **options: Any) -> None:
        """
        @param where: as L{whereIs} takes it.
        @param options: of L{Settings<terminable.testing.tally.Settings>}: C{keepAlive=50}.
        @raise InvalidOption: an option that cannot be meant.
        """
        self._settings = _settings(where, options)
        self._process: Any = None
        self._unread = b""

    @property
    def address(self) -> str:
        """
        Of the server, in words: C{127.0.0.1:8080}, or the path of a UNIX socket.
        """
        where = self._settings
        host = f"[{where.host}]" if ":" in where.host else where.host
        return where.path or f"{host}:{where.port}"

    def __enter__(self) -> Load:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    def start(self) -> Load:
        """
        Return when each client has had an answer.

        @raise NotAnswered: some have not.
        """
        began = time.monotonic()
        command = [sys.executable, "-I", "-S", "-c", PROGRAM, "--orders", ROOT]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, bufsize=0)
        try:
            tally = self._tell(json.dumps(asdict(self._settings)))
            unanswered = [kind for kind, count in tally.answered.items() if not count]
            if unanswered or tally.lost or tally.refused:
                where = f"{self.address} has not answered the clients before the action"
                lost = since(began, [*tally.lost, *tally.refused])
                raise NotAnswered(_named(f"{where} ({tally})", lost))
        except BaseException:
            self.end()
            raise
        return self

    def again(self) -> Tally:
        """
        Return when each client has had one more request, begun from now on, answered, or not.

        @return: what became of all requests so far.
        """
        return self._tell("again")

    def stop(self) -> Tally:
        """
        Ask no more, and return when no request is under way any more.

        @return: what became of all requests.
        """
        tally = self._tell("stop")
        self.end()
        return tally

    def end(self) -> None:
        """
        End the process, if it is still there.
        """
        process, self._process = self._process, None
        if process is None:
            return
        process.stdin.close()
        process.stdout.close()
        try:
            # It ends with what it reads.
            process.wait(ENDING)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _tell(self, order: str) -> Tally:
        # A process that ends says so at its output.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(order.encode() + b"\n")
        found = json.loads(self._line(10.0 + 3 * self._settings.timeout))
        for name in ("lost", "refused"):
            found[name] = [Lost(**each) for each in found[name]]
        return Tally(**found)

    def _line(self, patience: float) -> bytes:
        deadline = time.monotonic() + patience
        descriptor = self._process.stdout.fileno()
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        while b"\n" not in self._unread:
            if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                raise TimeoutError(f"the clients have not answered for {patience:g} s")
            data = os.read(descriptor, 65536)
            if not data:
                raise EOFError("the process of the clients has ended")
            self._unread += data
        line, _, self._unread = self._unread.partition(b"\n")
        return line


def check(tally: Tally, began: float, mayRefuse: bool = False, address: str = "") -> Tally:
    """
    Fail if something was dropped.

    @param began: when the action began, in monotonic seconds.
    @param mayRefuse: whether connections may be refused, or broken before a request was
        written.
    @param address: of the server, in words.
    @return: what was given.
    @raise Dropped: some requests were.
    """
    dropped = [*tally.lost, *([] if mayRefuse else tally.refused)]
    if dropped:
        raise Dropped(since(began, dropped), tally, address)
    return tally


def assertNothingDropped(
    where: Any, action: Callable[[], object], *, mayRefuse: bool = False, **options: Any
) -> Tally:
    """
    Put a load on a server, do something to it, and fail if a request was dropped.

    Each client must have had an answer before the action, and one to a request that it began
    after the action, unless connections may be refused.

    @param where: as L{whereIs} takes it.  A server in this process must run in another thread
        than this one.
    @param action: what is done; blocks until that is over.
    @param mayRefuse: whether connections may be refused, as after a plain stop.
    @param options: of L{Settings<terminable.testing.tally.Settings>}: C{fresh=50},
        C{targets=("/slow",)}.
    @return: what became of all requests.
    @raise Dropped: some were dropped.
    @raise NotAnswered: they were not answered even before.
    @raise InvalidOption: an option that cannot be meant.
    @raise TypeError: the action has returned something to wait for, or this would block the
        reactor that the server needs.
    """
    if getattr(where, "needsThisThread", bool)():
        raise TypeError("this would block the reactor: await deferNothingDropped instead")
    with Load(where, **options) as load:
        began = time.monotonic()
        result = action()
        if hasattr(result, "addCallback") or isinstance(result, Awaitable):
            raise TypeError(f"the action returned {result!r}: await deferNothingDropped instead")
        if not mayRefuse:
            load.again()
        tally = load.stop()
    return check(tally, began, mayRefuse, load.address)


def deferNothingDropped(
    where: Any,
    action: Callable[[], Any],
    *,
    mayRefuse: bool = False,
    reactor: Any = None,
    **options: Any,
) -> Any:
    """
    As L{assertNothingDropped}, without blocking the reactor.

    @param action: may return a Deferred or a coroutine.
    @param reactor: whose threads wait for the clients; the global one by default.
    @return: a Deferred that fires with what became of all requests, or fails as
        L{assertNothingDropped} does.
    """
    from twisted.internet.defer import Deferred, maybeDeferred
    from twisted.internet.threads import deferToThreadPool

    if reactor is None:
        from twisted.internet import reactor

    def inThread(work: Callable[[], Any]) -> Any:
        return deferToThreadPool(reactor, reactor.getThreadPool(), work)

    async def ask(load: Load) -> Tally:
        try:
            await inThread(load.start)
            began = time.monotonic()
            await maybeDeferred(action)
            if not mayRefuse:
                await inThread(load.again)
            tally = await inThread(load.stop)
        finally:
            await inThread(load.end)
        return check(tally, began, mayRefuse, load.address)

    return Deferred.fromCoroutine(ask(Load(where, **options)))
