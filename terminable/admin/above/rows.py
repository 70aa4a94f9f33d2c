"""
The live connections of all workers.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from twisted.web import http

from terminable.admin.above.whole import Whole
from terminable.admin.answers import Answer
from terminable.admin.listing import MOST, Query
from terminable.errors import InvalidOption


def _silence(row: dict[str, Any]) -> Any:
    known = [row[name] for name in ("lastReceived", "lastSent") if row[name] is not None]
    return -min(known, default=row["age"])


_ORDERS = {"age": lambda row: -row["age"], "idle": _silence, "peer": lambda row: row["peer"]}


async def connections(whole: Whole, given: Mapping[str, str]) -> Answer:
    """
    @param given: what stands behind the question mark.
    @return: what C{/connections} tells.
    @raise InvalidOption: something of it cannot be meant.
    """
    query = Query(given)
    end = query.offset + query.limit
    if end > MOST:
        expected = f"at most {MOST} together with the limit, where there are workers"
        raise InvalidOption("offset", query.offset, expected)
    # Of the first ones of all, each worker has at most so many.
    wanted = urlencode({**given, "limit": end, "offset": 0})
    heard = await whole.asking.everybody(f"/connections?{wanted}")
    rows = [
        whole.row(said.worker.pid or 0, row)
        for said in heard.said
        for row in said.value["connections"]
    ]
    rows.sort(key=_ORDERS[query.sort])
    head = {
        "pid": os.getpid(),
        **{
            name: sum(said.value[name] for said in heard.said)
            for name in ("total", "busy", "idle", "waiting")
        },
        "missing": heard.missing,
    }
    # A row a line, as one process tells it.
    lines = ",\n".join(json.dumps(row) for row in rows[query.offset : end])
    text = f'{json.dumps(head)[:-1]}, "connections": [\n{lines}]}}\n'
    return Answer(http.OK, text.encode())
