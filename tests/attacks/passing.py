"""
Random use and misuse of the channel by which one process passes connections to another, as a
state machine.
"""

from __future__ import annotations

from collections import Counter

from hypothesis import strategies as some
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.attacks.faulty import atMost, error, once
from tests.attacks.passage import PATIENCE, Passage
from tests.attacks.sides import DEEDS

#: What has happened in all runs of this process.
SEEN: Counter[str] = Counter()

INDEX = some.integers(0, 7)

#: What a socket of the channel may do, and what comes of it.
FAULTS = {
    "short": ("send", lambda: atMost(1)),
    "broken": ("send", lambda: error("EPIPE", 1)),
    "full": ("send", lambda: error("ENOBUFS", 2)),
    "no room for a descriptor": ("sendmsg", lambda: error("ENOBUFS", 2)),
    "too many on their way": ("sendmsg", lambda: error("ETOOMANYREFS", 1)),
    "cannot be sent": ("sendmsg", lambda: error("EMFILE", 1)),
    "byte by byte": ("recvmsg", lambda: atMost(1)),
    "piece by piece": ("recvmsg", lambda: atMost(50)),
    "reset": ("recvmsg", lambda: error("ECONNRESET", 1)),
    "interrupted": ("recvmsg", lambda: error("EINTR", 1)),
    "no descriptor is left": ("descriptors", lambda: atMost(0)),
    "one descriptor gets lost": ("descriptors", lambda: once(0)),
}

#: What takes time, or goes wrong once.
SLOW = ["short", "byte by byte", "piece by piece", "one descriptor gets lost"]

#: How an end of it is lost.
BREAKS = ["fail", "loseConnection", "abortConnection"]


class PassingMachine(RuleBasedStateMachine):
    """
    What two processes, their applications, the kernel, and those who connect may do.
    """

    passage: Passage | None = None

    @initialize(web=some.booleans(), atOnce=some.sampled_from([1, 2, 64]))
    def begin(self, web: bool, atOnce: int) -> None:
        """
        Two processes.
        """
        SEEN["examples"] += 1
        self.passage = Passage(SEEN, web, atOnce)
        for _ in range(3):
            self.passage.arrive()
        self.passage.turn(2)

    @property
    def on(self) -> Passage:
        """
        The scene, once it is set.
        """
        assert self.passage is not None
        SEEN["steps"] += 1
        return self.passage

    # -- those who connect

    @rule()
    def arrive(self) -> None:
        """
        Somebody connects.
        """
        self.on.arrive()
        self.on.turn(1, "here")

    @rule(index=INDEX, how=some.sampled_from(["whole", "whole", "half", "two", "later"]))
    def ask(self, index: int, how: str) -> None:
        """
        Somebody asks for something.
        """
        client = self.on.client(index)
        if client is not None:
            client.ask(how)

    @rule(index=INDEX, how=some.sampled_from(["leave", "reset", "halfEnd"]))
    def leave(self, index: int, how: str) -> None:
        """
        Somebody goes.
        """
        client = self.on.client(index)
        if client is not None:
            client.excused = True
            getattr(client, how)()

    # -- the two processes

    @rule(index=INDEX)
    def pass_(self, index: int) -> None:
        """
        A connection is passed.
        """
        self.on.reconnect()
        self.on.pass_(index)

    @rule(until=some.sampled_from([0.1, 3.0]))
    def passAll(self, until: float) -> None:
        """
        All are passed.
        """
        self.on.reconnect()
        self.on.passAll(until)

    @rule(index=INDEX)
    def cancel(self, index: int) -> None:
        """
        Or not.
        """
        self.on.cancel(index)

    @rule(
        there=some.booleans(),
        moment=some.sampled_from(["save", "restore", "made"]),
        deed=some.sampled_from([*DEEDS, "raise", ""]),
    )
    def misbehave(self, there: bool, moment: str, deed: str) -> None:
        """
        From now on, applications do something.
        """
        deeds = (self.on.there if there else self.on.here).lines.deeds
        deeds.pop(moment, None)
        if deed:
            deeds[moment] = deed

    @rule(serves=some.booleans(), refuses=some.booleans())
    def unwilling(self, serves: bool, refuses: bool) -> None:
        """
        The other process does not serve, or its factory wants nobody, or not any more.
        """
        self.on.there.serves = serves
        self.on.there.lines.refuses = refuses

    @rule(there=some.booleans())
    def answer(self, there: bool) -> None:
        """
        Requests that wait are answered.
        """
        (self.on.there if there else self.on.here).answer()

    # -- the channel

    @rule(near=some.booleans(), what=some.sampled_from([*FAULTS]))
    def fault(self, near: bool, what: str) -> None:
        """
        From now on, the kernel does something.
        """
        SEEN[what] += 1
        method, fault = FAULTS[what]
        self.on.fault(near, method, fault())

    @rule(near=some.booleans(), how=some.sampled_from(BREAKS))
    def breakChannel(self, near: bool, how: str) -> None:
        """
        One of its ends is lost.
        """
        self.on.breakChannel(near, how)

    @rule(
        faults=some.lists(some.sampled_from(SLOW), max_size=2),
        turns=some.sampled_from([1, 2, 3, 4, 6, 10, 20, 40]),
        near=some.booleans(),
        how=some.sampled_from(BREAKS),
    )
    def breakInBetween(self, faults: list[str], turns: int, near: bool, how: str) -> None:
        """
        All have asked for something and are passed, and then, at some moment, one of its ends is
        lost.
        """
        on = self.on
        on.reconnect()
        for fault in faults:
            self.fault(False, fault)
        for client in on.clients:
            client.ask("whole")
        on.passAll(0.0)
        on.turn(turns)
        on.breakChannel(near, how)

    @rule()
    def close(self) -> None:
        """
        It is closed, when what is on its way is confirmed.
        """
        self.on.breakChannel(True, "close")

    @rule(stalled=some.booleans())
    def stall(self, stalled: bool) -> None:
        """
        The other process does not read, or goes on.
        """
        self.on.stall(stalled)

    @rule()
    def kill(self) -> None:
        """
        The other process is killed.
        """
        SEEN["kill"] += 1
        self.on.kill()

    # -- time

    @rule(count=some.integers(1, 4), who=some.sampled_from(["here", "there", "both", "both"]))
    def turn(self, count: int, who: str) -> None:
        """
        Some turns of a reactor, or of both.
        """
        self.on.turn(count, who)

    @rule(seconds=some.sampled_from([0.02, 0.3, PATIENCE]))
    def wait(self, seconds: float) -> None:
        """
        Time goes by.
        """
        self.on.turn(2, "both", seconds / 2)

    # -- what must be so

    @precondition(lambda self: self.passage is not None)
    @invariant()
    def holds(self) -> None:
        """
        Nobody notices anything.
        """
        assert self.passage is not None
        assert not self.passage.faults(), self.passage.faults()

    def teardown(self) -> None:
        """
        Everybody is served to the end, and nothing is left.
        """
        if self.passage is not None:
            passage, self.passage = self.passage, None
            faults = passage.end()
            assert not faults, faults
            SEEN["taken"] += passage.here.passed
