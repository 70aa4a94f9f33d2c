"""
Server-sent events, read (WHATWG HTML, section 9.2.6).
"""

from __future__ import annotations

import codecs


class EventReader:
    """
    Makes events of what arrives, however it is cut.

    Comments, C{id} and C{retry} are passed over: nobody here starts again in the middle.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")(errors="replace")
        self._text = ""
        self._name = ""
        self._data: list[str] = []

    def feed(self, data: bytes) -> list[tuple[str, str]]:
        """
        @param data: the next bytes.
        @return: the events that are complete with them: name (C{message} if none was given)
            and data.
        """
        self._text += self._decoder.decode(data)
        # A carriage return at the end may be the first half of a line's end.
        kept = "\r" if self._text.endswith("\r") else ""
        text = self._text.removesuffix("\r").replace("\r\n", "\n").replace("\r", "\n")
        *lines, rest = text.split("\n")
        self._text = rest + kept
        return [event for line in lines if (event := self._line(line)) is not None]

    def _line(self, line: str) -> tuple[str, str] | None:
        if not line:
            return self._dispatch()
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            self._name = value
        elif field == "data":
            self._data.append(value)
        return None

    def _dispatch(self) -> tuple[str, str] | None:
        name, data = self._name or "message", self._data
        self._name, self._data = "", []
        return (name, "\n".join(data)) if data else None
