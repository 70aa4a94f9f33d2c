"""
Standing in the place of methods, for as long as a connection lives.
"""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL

from terminable.tracking.layers import tlsLayer


class Standing:
    """
    Who stands in for methods of instances.
    """

    def __init__(self) -> None:
        self._hooks: list[tuple[Any, str, Any, Any]] = []

    def hook(self, thing: Any, name: str, stand: Any) -> Any:
        """
        Put something in the place of a method.

        @return: the method.
        """
        former = getattr(thing, name)
        setattr(thing, name, stand)
        self._hooks.append((thing, name, getattr(thing, name), former))
        return former

    def unhook(self) -> None:
        """
        Leave all places, so that who has had us there goes without the help of the garbage
        collector.
        """
        while self._hooks:
            thing, name, stand, former = self._hooks.pop()
            if getattr(thing, name) is not stand:
                # Somebody else stands there now.
                continue
            if getattr(former, "__func__", None) is getattr(type(thing), name, None):
                delattr(thing, name)
            else:
                setattr(thing, name, former)


def hasSaidGoodbye(transport: Any) -> bool:
    """
    Whether the peer has ended the TLS session, by close_notify (RFC 8446, section 6.1).
    """
    tls = tlsLayer(transport)
    handle = None if tls is None else tls.getHandle()
    return handle is not None and bool(handle.get_shutdown() & SSL.RECEIVED_SHUTDOWN)
