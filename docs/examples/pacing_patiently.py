"""
A client that comes again when the server says so.

    python pacing_patiently.py http://127.0.0.1:8000/
"""

from __future__ import annotations

import sys

import treq
from twisted.internet.task import react

from terminable.pacing import patiently


async def main(reactor, url: str) -> None:
    begun = reactor.seconds()
    response = await patiently(lambda: treq.get(url), attempts=5, longest=30.0, reactor=reactor)
    text = await treq.text_content(response)
    print(response.code, text.strip(), f"after {reactor.seconds() - begun:.1f} s")


if __name__ == "__main__":
    react(main, sys.argv[1:])
