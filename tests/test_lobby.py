"""
Who may come in, who waits, and who is turned away.
"""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from twisted.trial.unittest import SynchronousTestCase

from terminable.policy.admission import Admission
from terminable.policy.lobby import Lobby, Verdict

ADMITTED, WAITS, AWAY = Verdict


class LobbyTestCase(SynchronousTestCase):
    """
    One lobby, in which keys begin with the name of their peer.
    """

    def open(self, **given: Any) -> None:
        """
        Make it.
        """
        self.lobby: Lobby[str] = Lobby(Admission(**given))

    def come(self, *keys: str, now: float = 0.0) -> list[Any]:
        """
        They arrive one after the other.

        @return: what became of each, and who lost his place for it.
        """
        found = [self.lobby.arrive(key, key[0], now) for key in keys]
        return [verdict if loser is None else (verdict, loser) for verdict, loser in found]

    def drain(self) -> list[str | None]:
        """
        One leaves and the next comes in, until nobody waits.
        """
        order: list[str | None] = []
        while self.lobby.waiting:
            order.append(self.lobby.next(0.0))
            self.assertIsNone(self.lobby.next(0.0))
            self.lobby.left(str(order[-1]))
        return order


class ArrivalTests(LobbyTestCase):
    """
    What becomes of those who come.
    """

    def test_noLimits(self) -> None:
        """
        Without limits all are inside.
        """
        self.open()
        self.assertEqual(self.come("a1", "a2", "b1"), [ADMITTED] * 3)
        self.assertFalse(self.lobby.full)

    def test_capacity(self) -> None:
        """
        So many are inside, so many wait.
        """
        self.open(capacity=2, queue=2)
        self.assertEqual(self.come("a1", "b1", "c1", "d1"), [ADMITTED, ADMITTED, WAITS, WAITS])
        self.assertEqual((self.lobby.inside, self.lobby.waiting), (2, 2))
        self.assertTrue(self.lobby.full)

    def test_fullHolds(self) -> None:
        """
        Who was accepted although everything is full waits too, where nobody is refused.
        """
        self.open(capacity=1, queue=1)
        self.assertEqual(self.come("a1", "b1", "c1"), [ADMITTED, WAITS, WAITS])

    def test_fullRefuses(self) -> None:
        """
        Elsewhere he is turned away.
        """
        self.open(capacity=1, queue=1, full="refuse")
        self.assertEqual(self.come("a1", "b1", "c1"), [ADMITTED, WAITS, AWAY])

    def test_noQueue(self) -> None:
        """
        Without a queue nobody waits.
        """
        self.open(capacity=1, queue=0, full="reset")
        self.assertFalse(self.lobby.full)
        self.assertEqual(self.come("a1", "b1"), [ADMITTED, AWAY])
        self.assertTrue(self.lobby.full)
        self.lobby.left("a1")
        self.assertFalse(self.lobby.full)

    def test_perPeer(self) -> None:
        """
        A peer with its share waits, also while there are places.
        """
        self.open(perPeer=1)
        self.assertEqual(self.come("a1", "a2", "b1"), [ADMITTED, WAITS, ADMITTED])
        self.assertIsNone(self.lobby.next(0))
        self.lobby.left("a1")
        self.assertEqual(self.lobby.next(0), "a2")

    def test_perPeerQueue(self) -> None:
        """
        A peer has so many in the queue, the others are turned away in any case.
        """
        self.open(capacity=1, perPeerQueue=1)
        self.assertEqual(self.come("a1", "a2", "a3", "b1"), [ADMITTED, WAITS, AWAY, WAITS])

    def test_nobodyIsOvertaken(self) -> None:
        """
        Who comes when a place has just become free does not get it while others wait.
        """
        self.open(capacity=1, queue=1)
        self.come("a1", "b1")
        self.lobby.left("a1")
        self.assertTrue(self.lobby.taken)
        self.assertTrue(self.lobby.full)
        self.assertEqual(self.come("c1"), [WAITS])
        self.assertEqual([self.lobby.next(0), self.lobby.next(0)], ["b1", None])

    def test_blockedPeersAreNotInTheWay(self) -> None:
        """
        A queue full of a peer that has its share keeps nobody else out.
        """
        self.open(capacity=3, perPeer=1, queue=2)
        self.assertEqual(self.come("a1", "a2", "a3", "a4"), [ADMITTED, WAITS, WAITS, AWAY])
        self.assertFalse(self.lobby.full)
        self.assertEqual(self.come("b1"), [ADMITTED])
        # Its second takes the place of the youngest of those who have more.
        self.assertEqual(self.come("b2"), [(WAITS, "a3")])

    def test_youngestGivesWay(self) -> None:
        """
        In a full queue a newcomer gets the place of the youngest of the peer with most.
        """
        self.open(capacity=1, queue=4, full="refuse")
        self.come("a1", "a2", "a3", "a4", "a5")
        self.assertEqual(self.come("b1"), [(WAITS, "a5")])
        self.assertEqual(self.come("b2", "a6"), [(WAITS, "a4"), AWAY])
        self.assertEqual(self.come("b3"), [AWAY])
        self.assertEqual(self.come("c1"), [(WAITS, "a3")])

    def test_entering(self) -> None:
        """
        Who is inside anyway counts.
        """
        self.open(capacity=1, perPeer=1)
        self.lobby.enter("a1", "a", 0)
        self.lobby.enter("b1", "b", 0)
        self.assertEqual(self.lobby.inside, 2)
        self.assertEqual(self.come("c1"), [WAITS])
        self.lobby.left("a1")
        self.assertIsNone(self.lobby.next(0))
        self.lobby.left("b1")
        self.assertEqual(self.lobby.next(0), "c1")


class OrderTests(LobbyTestCase):
    """
    Who is next.
    """

    def test_onePeer(self) -> None:
        """
        Within a peer: in order of arrival.
        """
        self.open(capacity=1)
        self.come("a1", "a2", "a3", "a4")
        self.lobby.left("a1")
        self.assertEqual(self.drain(), ["a2", "a3", "a4"])

    def test_oneEach(self) -> None:
        """
        With one connection each: in order of arrival.
        """
        self.open(capacity=1)
        self.come("x1", "c1", "a1", "b1")
        self.lobby.left("x1")
        self.assertEqual(self.drain(), ["c1", "a1", "b1"])

    def test_turns(self) -> None:
        """
        Peers take turns.
        """
        self.open(capacity=1)
        self.come("x1", "a1", "a2", "a3", "b1", "c1", "b2")
        self.lobby.left("x1")
        self.assertEqual(self.drain(), ["a1", "b1", "c1", "a2", "b2", "a3"])

    def test_gone(self) -> None:
        """
        Who goes while he waits has no turn.
        """
        self.open(capacity=1)
        self.come("x1", "a1", "b1")
        self.assertTrue(self.lobby.left("a1"))
        self.assertFalse(self.lobby.left("a1"))
        self.lobby.left("x1")
        self.assertEqual(self.drain(), ["b1"])

    def test_inTheWay(self) -> None:
        """
        Those inside whose going would let somebody in: all if every place is taken, and
        those of a peer that waits otherwise.
        """
        self.open(capacity=3, perPeer=1)
        self.come("a1", now=1)
        self.come("b1", "a2", now=2)
        self.assertEqual(list(self.lobby.inTheWay()), [("a1", 1)])
        self.come("c1", now=3)
        self.assertEqual(list(self.lobby.inTheWay()), [("a1", 1), ("b1", 2), ("c1", 3)])


class TimeTests(LobbyTestCase):
    """
    Limits of time.
    """

    def test_wait(self) -> None:
        """
        Who has waited too long is given back once, in order of arrival.
        """
        self.open(capacity=1, wait=5)
        self.come("a1")
        self.assertIsNone(self.lobby.nextTime())
        self.come("b1", "c1", now=1)
        self.come("d1", now=2)
        self.assertEqual(self.lobby.nextTime(), 6)
        self.assertEqual(self.lobby.expired(5.9), [])
        self.assertEqual(self.lobby.expired(6 - 1e-9), ["b1", "c1"])
        self.assertEqual((self.lobby.expired(6), self.lobby.nextTime()), ([], 7))
        self.assertEqual(self.lobby.waiting, 1)

    def test_stay(self) -> None:
        """
        Who has been inside for too long is given back once, and stays until he leaves.
        """
        self.open(capacity=2, stay=5)
        self.come("a1", "b1", "c1")
        self.assertEqual(self.lobby.nextTime(), 5)
        self.lobby.left("b1")
        self.assertEqual(self.lobby.next(2), "c1")
        self.assertEqual(self.lobby.overstayed(6), ["a1"])
        self.assertEqual((self.lobby.overstayed(6), self.lobby.nextTime()), ([], 7))
        self.assertEqual(self.lobby.inside, 2)
        self.assertEqual(self.lobby.overstayed(7), ["c1"])

    def test_forEver(self) -> None:
        """
        Without limits time changes nothing.
        """
        self.open(capacity=1)
        self.come("a1", "b1")
        self.assertIsNone(self.lobby.nextTime())
        self.assertEqual((self.lobby.expired(1e9), self.lobby.overstayed(1e9)), ([], []))


class LobbyMachine(RuleBasedStateMachine):
    """
    Anything that may happen, in any order, beside a model that knows the rules only.
    """

    @initialize(
        capacity=st.none() | st.integers(1, 3),
        perPeer=st.none() | st.integers(1, 2),
        queue=st.integers(0, 4),
        perPeerQueue=st.none() | st.integers(0, 2),
        full=st.sampled_from(["hold", "refuse"]),
    )
    def begin(self, **given: Any) -> None:
        """
        Some settings.
        """
        self.given = Admission(wait=5, stay=7, **given)
        self.lobby: Lobby[int] = Lobby(self.given)
        self.now = 0.0
        self.count = 0
        self.peers: dict[int, str] = {}
        self.inside: set[int] = set()
        self.line: list[int] = []

    def of(self, keys: Any, peer: str) -> list[int]:
        return [key for key in keys if self.peers[key] == peer]

    def mayEnter(self, peer: str) -> bool:
        given = self.given
        place = given.capacity is None or len(self.inside) < given.capacity
        return place and (given.perPeer is None or len(self.of(self.inside, peer)) < given.perPeer)

    @rule(peer=st.sampled_from("abc"))
    def arrive(self, peer: str) -> None:
        """
        Somebody comes.
        """
        self.count += 1
        key = self.count
        free = self.mayEnter(peer) and not any(self.mayEnter(self.peers[it]) for it in self.line)
        before = {each: len(self.of(self.line, each)) for each in "abc"}
        verdict, loser = self.lobby.arrive(key, peer, self.now)
        assert (verdict is ADMITTED) is free
        self.peers[key] = peer
        if verdict is ADMITTED:
            self.inside.add(key)
        elif verdict is WAITS:
            self.line.append(key)
        if loser is not None:
            other = self.peers[loser]
            assert loser == self.of(self.line, other)[-1]
            assert before[other] == max(before.values()) >= before[peer] + 2
            self.line.remove(loser)
        if verdict is AWAY and self.given.perPeerQueue is None:
            assert len(self.line) >= self.given.queue
            assert max(before.values()) <= before[peer] + 1

    @rule(which=st.integers(0, 20))
    def leave(self, which: int) -> None:
        """
        Somebody goes, from wherever he is.
        """
        known = sorted(self.inside) + self.line
        if known:
            key = known[which % len(known)]
            assert self.lobby.left(key)
            self.inside.discard(key)
            self.line = [it for it in self.line if it != key]

    @rule()
    def admit(self) -> None:
        """
        All who can come in do.
        """
        while True:
            ready = [key for key in self.line if self.mayEnter(self.peers[key])]
            key = self.lobby.next(self.now)
            assert (key is None) is (not ready)
            if key is None:
                break
            # The first of his peer.
            assert key == self.of(self.line, self.peers[key])[0]
            self.line.remove(key)
            self.inside.add(key)

    @rule(seconds=st.integers(0, 3))
    def wait(self, seconds: int) -> None:
        """
        Time goes by.
        """
        self.now += seconds
        for key in self.lobby.expired(self.now):
            self.line.remove(key)
        assert set(self.lobby.overstayed(self.now)) <= self.inside
        after = self.lobby.nextTime()
        assert after is None or after > self.now

    @invariant()
    def agrees(self) -> None:
        """
        The limits hold.
        """
        if not hasattr(self, "lobby"):
            return
        given = self.given
        assert self.lobby.inside == len(self.inside)
        assert self.lobby.waiting == len(self.line)
        assert given.capacity is None or len(self.inside) <= given.capacity
        for peer in "abc":
            assert given.perPeer is None or len(self.of(self.inside, peer)) <= given.perPeer
            most = given.perPeerQueue
            assert most is None or len(self.of(self.line, peer)) <= most
        if given.full == "refuse":
            assert len(self.line) <= given.queue
        ready = any(self.mayEnter(self.peers[key]) for key in self.line)
        place = given.capacity is None or len(self.inside) < given.capacity
        assert self.lobby.full is (len(self.line) >= given.queue and (ready or not place))


LobbyTests = LobbyMachine.TestCase
LobbyTests.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
