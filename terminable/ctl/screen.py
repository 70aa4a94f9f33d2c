"""
The live picture of a stop on a terminal.

It is drawn over the last one and never erased, on the terminal's second screen, so that
nothing flickers and the scrollback stays as it was. What does not fit into a line is cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from terminable.ctl.columns import Column, tableOf
from terminable.ctl.words import Told, briefly, counted, deed, plain, seconds, size, workers

#: How many stragglers are shown at most.
STRAGGLERS = 10

#: The columns for them.
COLUMNS = (
    Column("AGE", right=True),
    Column("PEER", whole=False),
    Column("UNSENT", right=True),
    Column("DOING", whole=False),
)

#: Lines that are neither stragglers nor bars: the head, a space, a line for titles, the foot.
_AROUND = 6

_COLOURS = {"busy": "yellow", "idle": "green", "waiting": "blue"}
_SERIOUS = {"aborting": "bold red", "serving": "bold green", "suspended": "bold magenta"}


class Picture:
    """
    What is known of a server, ready to be drawn.

    @ivar status: how it stands; C{None} before that is known.
    @ivar stragglers: connections that are busy, the oldest first.
    @ivar note: something to say at the bottom.
    """

    status: Told | None = None
    stragglers: Sequence[Told] = ()
    note = ""

    def __init__(self) -> None:
        self._seen = self._told = 0.0
        self._most = 1

    def see(self, status: Told, now: float) -> None:
        """
        The server has told how it stands.

        @param now: the time in seconds, on the clock by which it is drawn.
        """
        if self.status is not None and self.status.get("pid") != status.get("pid"):
            # Another process: another scale, and other connections.
            self._most, self.stragglers = 1, ()
        self.status, self._seen = status, now
        self._most = max(self._most, *(_count(status, name) for name in _COLOURS))
        if not _count(status, "busy"):
            self.stragglers = ()

    def tell(self, stragglers: Sequence[Told], now: float) -> None:
        """
        These are the oldest busy connections.
        """
        self.stragglers, self._told = stragglers, now

    def drawn(self, now: float, width: int, height: int) -> Any:
        """
        @param now: the time in seconds; ages and the time left go on between two words of
            the server.
        @param width: columns of the terminal.
        @param height: its lines.
        @return: what C{rich} draws.
        """
        from rich.console import Group

        return Group(*self._parts(now, width, height))

    def _parts(self, now: float, width: int, height: int) -> Iterator[Any]:
        status, passed = self.status, max(0.0, now - self._seen)
        if status is None:
            yield _text(self.note or "waiting for the server")
            return
        yield self._head(status, passed)
        yield _text(_aside(status))
        bars = [name for name in _COLOURS if name != "waiting" or status.get("waiting")]
        for name in bars:
            yield self._bar(name, _count(status, name))
        yield _text("still being counted" if status.get("counting") else "", "dim")
        room = self._room(height - len(bars))
        rows = [_row(each, now - self._told) for each in self.stragglers[:room]]
        if rows:
            yield tableOf(COLUMNS, rows, width)
        hidden = _count(status, "busy") - len(rows)
        if hidden > 0:
            yield _text(f"and {hidden} more busy" if rows else "", "dim")
        if self.note:
            yield _text(self.note, "bold")

    def _room(self, height: int) -> int:
        return max(0, min(STRAGGLERS, height - _AROUND))

    def _head(self, status: Told, passed: float) -> Any:
        from rich.table import Table

        table = Table.grid(expand=True)
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        table.add_column(no_wrap=True, justify="right")
        phase = plain(status.get("phase", "unknown"))
        left = status.get("left")
        right = "" if left is None else f"{seconds(left - passed)} left"
        who = f"{plain(status.get('name', '-'))}, process {plain(status.get('pid', '-'))}: {phase}"
        table.add_row(_text(who, _SERIOUS.get(phase, "bold yellow")), _text(right, "bold"))
        return table

    def _bar(self, name: str, count: int) -> Any:
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        table = Table.grid(expand=True, padding=(0, 1, 0, 0))
        table.add_column(width=7)
        table.add_column(width=7, justify="right")
        table.add_column(ratio=1)
        colour = _COLOURS[name]
        bar = ProgressBar(self._most, count, complete_style=colour, finished_style=colour)
        table.add_row(_text(name), _text(str(count)), bar)
        return table


def _text(text: str, style: str = "") -> Any:
    from rich.text import Text

    return Text(text, style=style, no_wrap=True, overflow="ellipsis")


def _count(status: Told, name: str) -> int:
    value = status.get(name)
    return value if isinstance(value, int) else 0


def _aside(status: Told) -> str:
    """
    What else there is to say, in one line.
    """
    told = []
    for generation in status.get("generations") or ():
        told.append(f"released: {counted(generation, 'busy', 'idle')}")
    if status.get("upgrade"):
        told.append(f"upgrade {plain(status['upgrade'])}")
    if status.get("workers"):
        told.append(workers(status))
    ports = status.get("ports") or ()
    told.append(", ".join(map(plain, ports)) or "no port")
    return "; ".join(told)


def _row(connection: Told, passed: float) -> tuple[str, ...]:
    age = connection.get("age")
    return (
        briefly(age + passed if isinstance(age, (int, float)) else age),
        plain(connection.get("peer", "-")),
        size(connection.get("unsent")),
        deed(connection),
    )
