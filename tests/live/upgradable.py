"""
What the servers serve that are followed by others, and how a test makes these fail.

A C{.tac} file asks L{application} for one; so does a program of its own L{run}.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from typing import Any

from twisted.application.service import Application
from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.task import deferLater
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from terminable import TerminableService, Terminator, watch
from terminable.handover.following import takeoverOf
from terminable.handover.successor import Successor
from terminable.handover.upgrading import Upgrade, upgradeOf
from tests.live.resources import afterStop

reactor: Any = _reactor

#: At which steps of an upgrade this process can be made to end itself.
STEPS = ("before", "started", "ready", "paused", "asked", "answered", "handed", "leaving")


class Echo(Resource):
    """
    Answers with the number it is given, after C{seconds}, or C{stopped} seconds after the process
    was told to leave.
    """

    isLeaf = True

    def render_GET(self, request: Request) -> int:
        number = request.args[b"n"][0]
        if b"stopped" in request.args:
            waiting = afterStop(float(request.args[b"stopped"][0]))
        else:
            waiting = deferLater(reactor, float(request.args.get(b"seconds", [b"0"])[0]))
        waiting.addCallback(lambda _: self.answer(request, number))
        return NOT_DONE_YET

    def answer(self, request: Request, number: bytes) -> None:
        body = b"%b\n" % number
        request.setHeader(b"content-length", b"%d" % len(body))
        request.write(body)
        request.finish()


class Who(Resource):
    """
    Tells the number of the process, and its descriptors.
    """

    isLeaf = True

    def render_GET(self, request: Request) -> bytes:
        return b"%d" % os.getpid()


class Child(Resource):
    """
    Starts a child that inherits what it can, and tells its descriptors.
    """

    isLeaf = True

    def render_GET(self, request: Request) -> bytes:
        listing = ["/bin/sh", "-c", "for each in /proc/self/fd/*; do readlink $each; done; true"]
        return subprocess.run(listing, close_fds=False, capture_output=True, check=True).stdout


class Ask(Resource):
    """
    Changes how this process is followed, and upgrades.
    """

    isLeaf = True

    def render_POST(self, request: Request) -> int:
        upgrade = upgradeOf(reactor)
        content: Any = request.content
        settings = json.load(content)
        for name, value in settings.items():
            setattr(upgrade, name, value)
        upgrade.upgrade().addBoth(self.answer, request)
        return NOT_DONE_YET

    def answer(self, result: Any, request: Request) -> None:
        if not isinstance(result, int):
            result = f"{result.type.__name__}: {result.getErrorMessage()}"
        request.write(f"{result}".encode())
        request.finish()


class Root(Resource):
    """
    All of them.
    """

    def __init__(self) -> None:
        super().__init__()
        for kind in (Echo, Who, Child, Ask):
            self.putChild(kind.__name__.lower().encode(), kind())


def _ending(before: Callable[..., Any] | None, after: bool = False) -> Callable[..., Any]:
    """
    What ends this process instead of calling something, or when that has been called.
    """

    def end(*args: Any) -> None:
        if after and before is not None:
            before(*args)
        os.kill(os.getpid(), signal.SIGKILL)

    return end


class FaultySuccessor(Successor):
    """
    One whose predecessor ends at a step.
    """

    step = ""

    def start(self) -> Deferred[Successor]:
        """
        Start it.
        """
        started = super().start()
        if self.step == "started":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.step == "ready":
            started.addCallback(_ending(None))
        return started

    def serve(self) -> Deferred[None]:
        """
        Have it serve.
        """
        if self.step == "paused":
            os.kill(os.getpid(), signal.SIGKILL)
        serving = super().serve()
        if self.step == "asked":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.step == "answered":
            serving.addCallback(_ending(None))
        return serving


def failAt(upgrade: Upgrade, step: str) -> None:
    """
    Have this process end itself, as if by the hand of somebody else, at this step of its
    upgrade.
    """
    FaultySuccessor.step = step
    changed: Any = upgrade
    if step == "before":
        changed._bound = _ending(None)
    elif step == "handed":
        changed._go = _ending(None)
    elif step == "leaving":
        upgrade.leave = _ending(upgrade.leave, after=True)
    made = changed._successor

    def faulty(*args: Any) -> Any:
        successor = made(*args)
        successor.__class__ = FaultySuccessor
        return successor

    changed._successor = faulty


def service() -> TerminableService:
    """
    What listens where the environment says.
    """
    terminator = Terminator(reactor, gracePeriod=20.0)
    watch(reactor, terminator)
    served = TerminableService(terminator)
    site = Site(Root())
    for description in os.environ["UPGRADABLE_LISTEN"].split():
        served.listenOn(serverFromString(reactor, description), site)
    if step := os.environ.get("UPGRADABLE_STEP"):
        failAt(upgradeOf(reactor), step)
        # Once: the next one is to live.
        del os.environ["UPGRADABLE_STEP"]
    return served


def application() -> Any:
    """
    For a C{.tac} file.
    """
    made = Application("upgradable")
    service().setServiceParent(made)
    return made


def held() -> Any:
    """
    The same, but one that never comes to be ready.
    """
    takeoverOf(reactor).awaits(Deferred())
    return application()
