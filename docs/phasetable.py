"""
Sphinx directives that draw the phases of a stop from the table that runs.
"""

from __future__ import annotations

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from terminable.policy.phases import TABLE, Effect, Event, diagram


def listTable(headings: list[str], rows: list[list[str]]) -> str:
    """
    The source of a table.
    """
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in [headings, *rows]:
        lines += [f"   {'*' if n == 0 else ' '} - {cell}" for n, cell in enumerate(row)]
    return "\n".join(lines)


def transitions() -> str:
    """
    Every cell of the table; effects in the order in which they are carried out.
    """
    rows = [
        [
            f"``{before.name}``",
            f"``{event.name}``",
            f"``{after.name}``",
            ", ".join(f"``{effect.name}``" for effect in effects) or "none",
        ]
        for (before, event), (after, effects) in TABLE.items()
    ]
    return listTable(["phase", "event", "next phase", "effects"], rows)


def words(kind: type[Event] | type[Effect]) -> str:
    """
    What the names mean.
    """
    return listTable(["name", "meaning"], [[f"``{one.name}``", one.value] for one in kind])


class PhaseTable(SphinxDirective):
    """
    C{.. phase-table:: transitions}, C{events}, C{effects} or C{diagram}.
    """

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """
        Make what was asked for.
        """
        wanted = self.arguments[0]
        if wanted == "diagram":
            return [nodes.literal_block(diagram(), diagram(), language="none")]
        source = {
            "transitions": transitions,
            "events": lambda: words(Event),
            "effects": lambda: words(Effect),
        }[wanted]()
        return self.parse_text_to_nodes(source)


def setup(app: Sphinx) -> dict[str, bool]:
    """
    Called by Sphinx.
    """
    app.add_directive("phase-table", PhaseTable)
    return {"parallel_read_safe": True}
