"""
All who are measured, and which of them are installed.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.peers import (
    aiohttp,
    gohttp,
    granian,
    gunicorn,
    httpterminator,
    hypercorn,
    nginx,
    plaintwisted,
    stoppable,
    terminable,
    uvicorn,
)
from benchmarks.peers.base import Peer

#: As they stand in tables, ours last.
ALL: list[Peer] = [
    httpterminator.PEER,
    stoppable.PEER,
    gohttp.PEER,
    uvicorn.PEER,
    hypercorn.PEER,
    gunicorn.PEER,
    granian.PEER,
    aiohttp.PEER,
    nginx.PEER,
    plaintwisted.PEER,
    terminable.PEER,
]

#: Those that are always there.
OURS = (plaintwisted.PEER.name, terminable.PEER.name)

#: Who is measured only when asked for.
MORE: list[Peer] = [terminable.BY_PREFIX, terminable.WITHOUT_TIMERS]


def chosen(names: Sequence[str], peers: Sequence[Peer] = ALL) -> list[Peer]:
    """
    Those of that name; all of them for no name.

    @raise ValueError: nobody is called so.
    """
    known = {peer.name: peer for peer in peers}
    for name in names:
        if name not in known:
            raise ValueError(f"--servers {name}: expected names out of {', '.join(known)}")
    return [peer for peer in peers if not names or peer.name in names]


def installed(peers: Sequence[Peer]) -> tuple[list[Peer], dict[str, str], list[str]]:
    """
    Look who is installed.

    @return: those who are, their versions, and the names of those who are not.
    """
    versions = {peer.name: peer.version() for peer in peers}
    there = [peer for peer in peers if versions[peer.name]]
    missing = [name for name, version in versions.items() if not version]
    return there, {peer.name: versions[peer.name] for peer in there}, missing
