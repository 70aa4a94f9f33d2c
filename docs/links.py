"""
How the API pages link to other people's names without asking a network: what can
be imported can be linked to.
"""

from __future__ import annotations

import sys
from inspect import isclass, ismodule
from pydoc import locate

from pydoctor.model import System
from pydoctor.sphinx import SphinxInventory


def twistedPage(name: str, target: object) -> str:
    """
    Twisted's own pages are pydoctor's: one for each module and each class.
    """
    page, anchor = name, ""
    if not (isclass(target) or ismodule(target)):
        page, _, anchor = name.rpartition(".")
    return f"https://docs.twisted.org/en/stable/api/{page}.html" + (anchor and f"#{anchor}")


def pythonPage(name: str, target: object) -> str:
    """
    The library reference has one page for each module.
    """
    module = name
    while not ismodule(locate(module)):
        module = module.rpartition(".")[0]
    return f"https://docs.python.org/3/library/{module}.html" + (
        "" if module == name else f"#{name}"
    )


class ImportableNames(SphinxInventory):
    """
    The inventory of everything that is installed.
    """

    def getLink(self, name: str) -> str | None:
        """
        Where C{name} is documented, or C{None}: then pydoctor complains, unless it
        is one of our own.
        """
        root = name.partition(".")[0]
        if root != "twisted" and root not in sys.stdlib_module_names:
            return None
        target = locate(name)
        if target is None:
            return None
        return (twistedPage if root == "twisted" else pythonPage)(name, target)


class LinkingSystem(System):
    """
    A pydoctor system with that inventory.
    """

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.intersphinx = ImportableNames(logger=self.msg)
