"""
Classes of libraries that may be there or not, and that nobody imports to ask about them.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any


class Known:
    """
    A class that is known by its name, until somebody has imported it.
    """

    def __init__(self, module: str, name: str) -> None:
        """
        @param module: the full name of the module that defines it.
        """
        self._module = module
        self._name = name
        self._kind: Any = None

    def __repr__(self) -> str:
        return f"<{self._module}.{self._name}>"

    def made(self, thing: object) -> bool:
        """
        Whether something is an instance of it: nothing is while its module was not imported.
        """
        if self._kind is None:
            self._kind = getattr(sys.modules.get(self._module), self._name, None)
        return self._kind is not None and isinstance(thing, self._kind)

    def load(self) -> Any:
        """
        Import it.

        @return: the class.
        """
        return getattr(import_module(self._module), self._name)


#: HTTP/1.1 of C{twisted.web}, and whatever follows it on the same connection.
HTTP_CHANNEL = Known("twisted.web.http", "HTTPChannel")
