"""
Numbers, names and states as people read them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, TypeGuard

#: What the server tells of itself or of a connection.
Told = Mapping[str, Any]

_UNITS = ("B", "kB", "MB", "GB", "TB")
_MINUTE, _HOUR, _DAY = 60, 3600, 86400

#: A unit, and that which is told with it.
_TIMES = (
    (_DAY, "d", _HOUR, "h"),
    (_HOUR, "h", _MINUTE, "min"),
    (_MINUTE, "min", 1, "s"),
)


def _isNumber(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def plain(text: object) -> str:
    """
    A text that does nothing to a terminal. Much of what is shown was sent by strangers: the
    path of a request may have escape sequences in it.

    @return: the text with everything that cannot be printed spelled out, C{\\x1b} for ESC.
    """
    return "".join(each if each.isprintable() else _spelled(each) for each in str(text))


def _spelled(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def seconds(value: object) -> str:
    """
    A length of time, in two units at most: C{2.5 s}, C{3 min 20 s}, C{2 h 5 min}, C{3 d 4 h}.

    @param value: seconds; what is no number, such as C{None}, is C{-}.
    """
    if not _isNumber(value):
        return "-"
    if value < _MINUTE:
        return f"{max(value, 0):.1f} s"
    unit, name, lesser, lesserName = next(each for each in _TIMES if value >= each[0])
    return f"{int(value // unit)} {name} {int(value % unit // lesser)} {lesserName}"


def briefly(value: object) -> str:
    """
    The same in one unit, for tables: C{2.5 s}, C{3 min}.
    """
    text = seconds(value)
    return " ".join(text.split()[:2])


def size(value: object) -> str:
    """
    An amount of data: C{512 B}, C{1.2 kB}, C{3.4 GB}; a kB is 1000 bytes.

    @param value: bytes; what is no number is C{-}.
    """
    if not _isNumber(value):
        return "-"
    amount, unit = float(value), 0
    while amount >= 999.5 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1000, unit + 1
    return f"{amount:.1f} {_UNITS[unit]}" if unit else f"{amount:.0f} B"


def counted(what: Told, *names: str) -> str:
    """
    @return: those of the numbers that are there: C{3 busy, 12 idle}.
    """
    return ", ".join(f"{what[name]} {name}" for name in names if what.get(name) is not None)


def connections(status: Told) -> str:
    """
    @return: how many there are: C{3 busy, 12 idle}; all together while a stop has not looked at
        each of them.
    """
    if not status.get("counting"):
        return counted(status, "busy", "idle")
    known = [status.get("busy"), status.get("idle")]
    return f"{sum(filter(_isNumber, known))} connections, still being counted"


def workers(status: Told) -> str:
    """
    @return: what the workers of a server are doing: C{workers: 2 serving, 1 draining}; nothing
        if it has none.
    """
    states = Counter(plain(each.get("state", "-")) for each in status.get("workers") or ())
    told = ", ".join(f"{count} {state}" for state, count in states.items())
    return f"workers: {told}" if told else ""


def deed(connection: Told) -> str:
    """
    What a connection is doing; what it is if that is nothing.
    """
    doing = connection.get("doing")
    if doing:
        return plain(doing)
    return plain(f"{connection.get('state', '')} {connection.get('protocol', '')}".strip())


def named(connection: Told) -> str:
    """
    A connection in one line: C{GET /export from 127.0.0.1:4242, 2.5 s, 100 B unsent}.
    """
    text = f"{deed(connection)} from {plain(connection.get('peer', '-'))}"
    text += f", {seconds(connection.get('age'))}"
    if connection.get("unsent"):
        text += f", {size(connection['unsent'])} unsent"
    told = connection.get("told")
    if isinstance(told, str) and told:
        text += f", told {plain(told)}"
    return text


def oneLine(status: Told) -> str:
    """
    How a server stands: C{draining: 1 busy, 0 idle, 24.0 s left: GET /slow from ..., 2.5 s}.
    """
    text = f"{plain(status.get('phase', 'unknown'))}: {connections(status)}"
    if status.get("waiting"):
        text += f", {status['waiting']} waiting"
    if any(each.get("state") != "serving" for each in status.get("workers") or ()):
        text += f", {workers(status)}"
    if status.get("left") is not None:
        text += f", {seconds(status['left'])} left"
    oldest = status.get("oldest")
    return text + (f": {named(oldest)}" if oldest else "")


def reportLines(report: Told, most: int = 20) -> list[str]:
    """
    What a stop came to: a line for the sums, and one for each connection that is named.

    @param most: how many connections are named.
    """
    sums = counted(report, "idle", "finished", "left", "aborted")
    lines = [f"terminated: {sums} after {seconds(report.get('seconds'))}"]
    entries: list[Told] = list(report.get("entries") or ())
    # Those that were aborted are what people look for.
    entries.sort(key=lambda entry: entry.get("outcome") != "aborted")
    lines += [f"  {plain(entry.get('outcome', '-'))}: {named(entry)}" for entry in entries[:most]]
    if len(entries) > most:
        lines.append(f"  and {len(entries) - most} more")
    return lines


def joined(texts: Iterable[object]) -> str:
    """
    A list in one line; C{-} if it is empty.
    """
    return ", ".join(plain(text) for text in texts) or "-"
