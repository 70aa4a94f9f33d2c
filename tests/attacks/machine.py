"""
Random use and misuse of a whole server, as a state machine.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import Any

from hypothesis import strategies as some
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from terminable.policy.admission import Admission
from tests.attacks.applications import BUSY, DEEDS, KINDS, MOMENTS, Script
from tests.attacks.deeds import REFUSED
from tests.attacks.scene import Scene

#: What has happened in all runs of this process.
SEEN: Counter[str] = Counter()

SCRIPTS = some.builds(
    Script,
    some.sampled_from(KINDS),
    some.dictionaries(
        some.sampled_from([*MOMENTS, "buildProtocol"]),
        some.sampled_from([*DEEDS, "none"]),
        max_size=4,
    ),
    some.sampled_from(sorted(BUSY)),
)

GRACES = some.sampled_from([0, 0.05, 0.5, 2.0])
PORTS = some.sampled_from(["unix", "unix", "foreign", "path", "tcp", "tls"])
INDEX = some.integers(0, 7)

ADMISSIONS = some.none() | some.builds(
    Admission,
    capacity=some.integers(1, 3),
    queue=some.integers(0, 2),
    full=some.sampled_from(["hold", "refuse", "reset"]),
    atStop=some.sampled_from(["admit", "refuse"]),
    wait=some.sampled_from([None, 0.3]),
    stay=some.sampled_from([None, 1.0]),
    perPeer=some.sampled_from([None, 1]),
)

LIMITS = some.sampled_from(
    [
        (),
        (),
        ("received=100/s",),
        ("messages=5/s:over=backpressure", "sent=1000/s:per=all"),
        ("received=10/s:per=peer:over=disconnect",),
    ]
)

SETTINGS = some.fixed_dictionaries(
    {
        "gracePeriod": some.sampled_from([0.5, 1.0, 3.0, None]),
        "idleGrace": some.sampled_from([0.0, 0.1, 0.4]),
        "quiesce": some.sampled_from([0.0, 0.0, 0.2]),
        "linger": some.sampled_from([0.0, 0.3]),
        "lingerBytes": some.sampled_from([0, 1000]),
        "stagger": some.sampled_from([0.0, 0.3]),
        "generations": some.sampled_from([1, 4]),
        "admission": ADMISSIONS,
        "limits": LIMITS,
    }
)


class ServerMachine(RuleBasedStateMachine):
    """
    What its owner, those who connect, and its applications may do to a server.
    """

    scene: Scene | None = None

    @initialize(settings=SETTINGS, ports=some.lists(PORTS, min_size=1, max_size=3))
    def begin(self, settings: dict[str, Any], ports: list[str]) -> None:
        """
        A server with some ports.
        """
        SEEN["examples"] += 1
        gracePeriod = settings["gracePeriod"]
        if gracePeriod is not None and settings["quiesce"] + settings["idleGrace"] > gracePeriod:
            settings = {**settings, "idleGrace": 0.0}
        self.scene = Scene(SEEN, **settings)
        for kind in ports:
            self.scene.listen(kind)

    @property
    def on(self) -> Scene:
        """
        The scene, once it is set.
        """
        assert self.scene is not None
        SEEN["steps"] += 1
        return self.scene

    # -- those who connect

    @rule(index=INDEX, script=SCRIPTS)
    def connect(self, index: int, script: Script) -> None:
        """
        Somebody connects.
        """
        self.on.connect(index, script)

    @rule(index=INDEX, script=SCRIPTS, data=some.binary(max_size=40))
    def connectAndSpeak(self, index: int, script: Script, data: bytes) -> None:
        """
        Somebody connects, says something, and is accepted.
        """
        scene = self.on
        scene.connect(index, script)
        for guest in scene.guests[-1:]:
            guest.send(data)
        scene.reactor.turn()
        scene.reactor.turn()

    @rule(script=SCRIPTS, delay=some.sampled_from([0.0, 0.3, None]))
    def connectInMemory(self, script: Script, delay: float | None) -> None:
        """
        Somebody connects, with a transport that has no socket.
        """
        self.on.connectInMemory(script, delay)

    @rule(index=INDEX, size=some.sampled_from([1, 20, 5000]))
    def send(self, index: int, size: int) -> None:
        """
        Somebody says something.
        """
        scene = self.on
        if scene.guests:
            scene.guests[index % len(scene.guests)].send(b"a\r\n" * size)

    @rule(index=INDEX, limit=some.sampled_from([1, 5000, 2**20]))
    def read(self, index: int, limit: int) -> None:
        """
        Somebody reads.
        """
        scene = self.on
        if scene.guests:
            scene.guests[index % len(scene.guests)].read(limit)

    @rule(index=INDEX, way=some.sampled_from(["halfEnd", "reset", "leave"]))
    def leave(self, index: int, way: str) -> None:
        """
        Somebody goes.
        """
        scene = self.on
        if scene.guests:
            guest = scene.guests[index % len(scene.guests)]
            SEEN[f"guest: {way}"] += 1
            getattr(guest, way)()

    # -- time

    @rule(seconds=some.sampled_from([0.0, 0.0, 0.01, 0.1, 0.5]))
    def turn(self, seconds: float) -> None:
        """
        The reactor turns.
        """
        self.on.turn(seconds)

    @rule(seconds=some.sampled_from([0.3, 1.0, 3.0]))
    def go(self, seconds: float) -> None:
        """
        It goes on turning.
        """
        self.on.reactor.go(seconds)

    # -- its owner

    @rule(gracePeriod=GRACES)
    def terminate(self, gracePeriod: float) -> None:
        """
        A stop.
        """
        self.on.terminate(gracePeriod)

    @rule()
    def terminateByDefault(self) -> None:
        """
        A stop with the terminator's own deadline.
        """
        self.on.terminate(own=True)

    @rule()
    def abort(self) -> None:
        """
        The end.
        """
        self.on.abort()

    @rule(index=INDEX)
    def cancel(self, index: int) -> None:
        """
        Somebody waits no longer.
        """
        scene = self.on
        if scene.results:
            what, deferred, fired = scene.results[index % len(scene.results)]
            if not fired:
                SEEN[f"cancelled {what}"] += 1
                deferred.cancel()

    @rule(way=some.sampled_from(["suspend", "resume"]))
    def pauseService(self, way: str) -> None:
        """
        The ports go away, and come back.
        """
        scene = self.on
        with contextlib.suppress(*REFUSED):
            if way == "suspend":
                scene.suspend()
            else:
                scene.terminator.resume()
            SEEN[way] += 1

    @rule(keep=some.booleans(), gracePeriod=GRACES)
    def release(self, keep: bool, gracePeriod: float) -> None:
        """
        The ports are somebody else's.
        """
        scene = self.on
        with contextlib.suppress(*REFUSED):
            scene.release(keep, gracePeriod)
            SEEN["release"] += 1

    @rule(kind=PORTS)
    def listen(self, kind: str) -> None:
        """
        One more port.
        """
        scene = self.on
        if sum(bool(port.connected) for port in scene.ports) < 4:
            with contextlib.suppress(*REFUSED):
                scene.listen(kind)

    @rule(
        percent=some.sampled_from([None, 50, 100]),
        gracePeriod=GRACES,
        odd=some.sampled_from(["all", "raises", "reenters", "none"]),
    )
    def drain(self, percent: float | None, gracePeriod: float, odd: str) -> None:
        """
        Some are drained.
        """
        scene = self.on

        def select(connection: Any) -> object:
            if odd == "reenters":
                scene.act(None, "drain")
            return odd != "none"

        with contextlib.suppress(*REFUSED):
            scene.drain(select=select, percent=percent, gracePeriod=gracePeriod, idleGrace=0.0)
            SEEN["drain"] += 1

    # -- its applications

    @rule(index=INDEX, deed=some.sampled_from(DEEDS))
    def applicationActs(self, index: int, deed: str) -> None:
        """
        A protocol does something, at any time.
        """
        scene = self.on
        built = [it for factory in scene.factories for it in factory.built if it.made > it.ended]
        if built and deed != "raise":
            scene.act(built[index % len(built)], deed)

    @rule(
        moment=some.sampled_from(["phaseChanged", "portsClosed", "terminated"]),
        deed=some.sampled_from(["raise", "terminate", "abort", "listen", "release", "drain"]),
    )
    def observe(self, moment: str, deed: str) -> None:
        """
        An observer will do something.
        """
        self.on.observer.deeds[moment] = deed

    # -- what has to be true

    @invariant()
    @precondition(lambda self: self.scene is not None)
    def holds(self) -> None:
        """
        Nothing is wrong.
        """
        assert self.scene is not None
        faults = self.scene.faults()
        assert not faults, "\n".join(faults)

    def teardown(self) -> None:
        """
        Everything ends.
        """
        scene, self.scene = self.scene, None
        if scene is not None:
            faults = scene.end()
            assert not faults, "\n".join(faults)
