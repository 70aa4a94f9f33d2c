"""
Limits, as they are typed, and what they say is to be done.
"""

from __future__ import annotations

import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from terminable.errors import InvalidOption
from terminable.policy.limits import (
    LONGEST,
    POSSIBLE,
    WARNING,
    WORDS,
    Action,
    Limit,
    Of,
    Per,
    Step,
    limit,
    steps,
)


class Quota:
    """
    What other processes are asked by.
    """

    def take(self, key: str, amount: int) -> float:
        """
        Everything may be had.
        """
        return 0.0


class LimitTests(SynchronousTestCase):
    """
    L{Limit}.
    """

    def test_defaults(self) -> None:
        """
        With nothing but a rate: a burst of a second, per connection, by backpressure.
        """
        made = Limit(messages=10)
        self.assertEqual((made.of, made.rate, made.burst), (Of.MESSAGES, 10.0, 10.0))
        self.assertEqual((made.per, made.words), (Per.CONNECTION, WORDS))
        self.assertEqual((made.warning, made.shared), (WARNING, None))
        self.assertEqual(made.over, (Step(Action.BACKPRESSURE),))

    def test_slow(self) -> None:
        """
        However slow, there is room for one.
        """
        self.assertEqual(Limit(messages="1/min").burst, 1.0)

    def test_oneOfThem(self) -> None:
        """
        It counts one thing.
        """
        self.assertIs(Limit(received="2MB/s").of, Of.RECEIVED)
        self.assertIs(Limit(sent=5).of, Of.SENT)
        for settings, value in (
            ({}, ""),
            ({"sent": 1, "messages": 1}, "sent and messages"),
            ({"received": 1, "sent": 1, "messages": 1}, "received and sent and messages"),
        ):
            error = self.assertRaises(InvalidOption, Limit, **settings)
            self.assertEqual((error.option, error.value), ("limit", value))

    def test_nonsense(self) -> None:
        """
        What cannot be meant is named by the setting in which it stands.
        """
        long = "x" * (LONGEST + 1)
        for option, values in {
            "messages": (0, -1, "fast", math.nan),
            "burst": (0, 0.5, "0.99", "big", -1, math.inf),
            "per": ("person", 1, None, "Peer"),
            "words": ("", "two\nlines", long, "ü" * (LONGEST // 2 + 1), 5, b"x", "\ud800"),
            "warning": (-1, "soon", math.inf, None),
            "shared": (object(), 5, Limit(messages=1)),
        }.items():
            for value in values:
                settings: dict[str, Any] = {"messages": 1, "per": "peer", option: value}
                error = self.assertRaises(InvalidOption, Limit, **settings)
                self.assertEqual((error.option, error.value), (option, value))

    def test_shared(self) -> None:
        """
        What other processes count too are messages, and not those of a connection.
        """
        quota = Quota()
        self.assertIs(Limit(messages=1, per="peer", shared=quota).shared, quota)
        self.assertIs(Limit(messages=1, per=Per.ALL, shared=quota).shared, quota)
        for settings, option in (
            ({"messages": 1}, "per"),
            ({"received": 1, "per": "all"}, "shared"),
            ({"sent": 1, "per": "peer"}, "shared"),
        ):
            error = self.assertRaises(InvalidOption, Limit, shared=quota, **settings)
            self.assertEqual(error.option, option)

    def test_isItself(self) -> None:
        """
        Two that say the same are two limits; neither can be changed.
        """
        one, other = Limit(messages=1), Limit(messages=1)
        self.assertNotEqual(one, other)
        self.assertEqual(len({one, other}), 2)
        self.assertRaises(AttributeError, setattr, one, "rate", 5.0)

    def test_portion(self) -> None:
        """
        Who has to wait waits for what comes in a moment, never for less than a byte, more
        than the burst, or more than is read at once.
        """
        for rate, burst, expected in (
            (100_000, None, 2000),
            (10, None, 1),
            (1e6, 500, 500),
            (1e9, None, 2**16),
            (1e6, 1.9, 1),
        ):
            self.assertEqual(Limit(received=rate, burst=burst).portion, expected)


class StepTests(SynchronousTestCase):
    """
    What is done, one step after the other.
    """

    def test_kinds(self) -> None:
        """
        A text, an action, a step, and several of these say the same.
        """
        expected = (Step(Action.BACKPRESSURE), Step(Action.QUOTA, 5.0))
        for value in (
            "backpressure,quota@5",
            " backpressure , quota@5.0 ",
            [Action.BACKPRESSURE, Step(Action.QUOTA, 5)],
            ("backpressure", "quota@5"),
            iter(["backpressure@0", Step(Action.QUOTA, 5.0)]),
        ):
            self.assertEqual(steps(Of.MESSAGES, value), expected)
        for one in ("delay", Action.DELAY, Step(Action.DELAY), [Action.DELAY]):
            self.assertEqual(steps(Of.MESSAGES, one), (Step(Action.DELAY),))

    def test_nonsense(self) -> None:
        """
        Unknown ones, ones that begin later, or at no time, are refused.
        """
        odd: Any = Step("quota", "5")  # type: ignore[arg-type]
        for value in (
            *("", "slow", "quota@", "quota@x", "quota@-1", "quota@5", "quota,", "quota,delay"),
            *("quota,delay@0", "quota,delay@5,disconnect@5", "quota,delay@inf"),
            *([], None, 5, [5], [None], Step(Action.DELAY, 1.0), Step(Action.DELAY, math.nan)),
            *([Action.DELAY, Step(Action.QUOTA, -1.0)], [Action.DELAY, Step(None, 1.0)]),  # type: ignore[arg-type]
            *([Action.DELAY, Step(Action.QUOTA, None)], Per.PEER, b"quota", {5: 6}),  # type: ignore[arg-type]
        ):
            error = self.assertRaises(InvalidOption, steps, Of.MESSAGES, value)
            self.assertEqual((error.option, error.value), ("over", value))
            self.assertIn("of backpressure, delay, quota, disconnect", error.expected)
        self.assertEqual(steps(Of.MESSAGES, ["delay", odd])[1], Step(Action.QUOTA, 5.0))

    def test_possible(self) -> None:
        """
        What can be done depends on what is counted.
        """
        for of, possible in POSSIBLE.items():
            for action in Action:
                if action in possible:
                    self.assertEqual(steps(of, action.value), (Step(action),))
                else:
                    error = self.assertRaises(InvalidOption, steps, of, action)
                    self.assertNotIn(action.value, error.expected.partition(" of ")[2])

    def test_action(self) -> None:
        """
        It depends on for how long there has been too much.
        """
        made = Limit(messages=1, over="delay,quota@5,disconnect@10")
        for seconds, action in (
            (0.0, Action.DELAY),
            (4.99, Action.DELAY),
            (5.0, Action.QUOTA),
            (9.0, Action.QUOTA),
            (10.0, Action.DISCONNECT),
            (1e9, Action.DISCONNECT),
        ):
            self.assertIs(made.action(seconds), action)


class TypedTests(SynchronousTestCase):
    """
    Limits as texts.
    """

    def test_all(self) -> None:
        """
        Everything that can be typed.
        """
        made = limit(
            "messages=600/min:burst=20:per=peer:over=delay,quota@5:words=Go away:warning=2"
        )
        self.assertEqual((made.of, made.rate, made.burst), (Of.MESSAGES, 10.0, 20.0))
        self.assertEqual((made.per, made.words, made.warning), (Per.PEER, "Go away", 2.0))
        self.assertEqual(made.over, (Step(Action.DELAY), Step(Action.QUOTA, 5.0)))

    def test_colon(self) -> None:
        """
        Words may have colons in them, and equals signs.
        """
        made = limit(r"words=Too much\: 1=1:messages=1")
        self.assertEqual(made.words, "Too much: 1=1")

    def test_more(self) -> None:
        """
        Some settings cannot be typed; none is given twice.
        """
        quota = Quota()
        self.assertIs(limit("messages=1:per=all", shared=quota).shared, quota)
        self.assertRaises(InvalidOption, limit, "messages=1:per=all", per="peer")

    def test_nonsense(self) -> None:
        """
        Parts that are no settings are named; what they say is looked at as ever.
        """
        for text, part in {
            "": "",
            "fast": "fast",
            "messages=1:": "",
            "messages=1:shared=x": "shared=x",
            "messages=1:of=sent": "of=sent",
            "messages=1:messages=2": "messages=2",
            "messages =1": "messages =1",
        }.items():
            error = self.assertRaises(InvalidOption, limit, text)
            self.assertEqual((error.option, error.value), ("limit", part))
        self.assertEqual(self.assertRaises(InvalidOption, limit, "messages=0").option, "messages")
        self.assertEqual(self.assertRaises(InvalidOption, limit, "burst=5").option, "limit")

    def test_text(self) -> None:
        """
        It is written as it is typed.
        """
        for text in (
            "messages=10/s:burst=20:per=peer:over=backpressure,quota@5,disconnect@7.5",
            "received=1234567/s:burst=2500000:per=connection:over=backpressure",
            "sent=0.5/s:burst=1:per=all:over=backpressure",
        ):
            self.assertEqual(str(limit(text)), text)

    @given(
        st.sampled_from(list(Of)),
        st.floats(1e-9, 1e15),
        st.floats(1.0, 1e15),
        st.sampled_from(list(Per)),
        st.floats(1e-9, 1e9),
    )
    def test_again(self, of: Of, rate: float, burst: float, per: Per, after: float) -> None:
        """
        What is written can be read, and is the same.
        """
        over = [POSSIBLE[of][0], Step(POSSIBLE[of][-1], after)]
        made = Limit(**{of.value: rate}, burst=burst, per=per, over=over)  # type: ignore[arg-type]
        again = limit(str(made))
        self.assertEqual((again.of, again.rate, again.burst), (of, rate, burst))
        self.assertEqual((again.per, again.over), (per, made.over))
