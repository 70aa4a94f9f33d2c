"""
The description of the admin API, in OpenAPI 3.1.
"""

from __future__ import annotations

import sys
from typing import Any

from terminable.admin.actions import MOST_PID
from terminable.admin.listing import LIMIT, MOST, SORTS
from terminable.admin.schemas import SCHEMAS, Schema, count, listOf, named, seconds, shape, text
from terminable.admin.words import STATES

_JSON = "application/json"

_PID = {
    "pid": {
        "type": "integer",
        "minimum": 1,
        "maximum": MOST_PID,
        "description": "the process that is meant: if another one answers, nothing is done (409)",
    }
}

_GRACE = {"gracePeriod": seconds("seconds from now until stragglers are aborted")}

_DRAIN = {
    "percent": {
        "type": "number",
        "minimum": 0,
        "maximum": 100,
        "description": "how many of those who meet the other conditions, evenly by age",
    },
    "olderThan": seconds("for at least how many seconds they have been connected"),
    "peer": text("the IP address or network that they come from"),
    "port": {
        "type": ["integer", "string"],
        "minimum": 1,
        "maximum": 0xFFFF,
        "minLength": 1,
        "description": "the number of the TCP port that they came by, or a UNIX socket's path",
    },
    "ids": listOf(text("the id of a connection"), "these connections"),
    **_GRACE,
}

#: What can be asked for: a summary, what may be given, and the status of success.
_ACTIONS: dict[str, tuple[str, dict[str, Schema], int]] = {
    "/terminate": ("End politely.", _GRACE, 202),
    "/abort": ("End at once.", {}, 202),
    "/suspend": ("Let the ports go away for a while; connections live on.", {}, 200),
    "/resume": ("Have the ports back.", {}, 200),
    "/drain": ("Drain some connections, and go on with the others.", _DRAIN, 202),
    "/upgrade": ("Have a successor of this process take over.", {}, 202),
}

_WHY = {
    400: "what was given cannot be meant",
    401: "the token is missing, or wrong",
    403: "the request comes from somebody else's page, or lacks X-Terminable",
    404: "there is nothing at this path",
    405: "this path has other methods",
    408: "the request took too long to come",
    409: "the server cannot do that now, or another process was meant",
    413: "the body is too long",
    415: "the body is no JSON",
    421: "the host is not ours",
    501: "prometheus_client is not installed",
    503: "not now",
}

_QUERY = {
    "state": text("what they are doing", enum=list(STATES)),
    "peer": text("the IP address or network that they come from"),
    "protocol": text("the class of their protocol"),
    "limit": count("how many", maximum=MOST, default=LIMIT),
    "offset": count("how many to pass over", maximum=10**9 - 1, default=0),
    "sort": text("oldest first, longest silent first, or by peer", enum=list(SORTS)),
}


def _told(description: str, name: str, kind: str = _JSON) -> dict[str, Any]:
    return {"description": description, "content": {kind: {"schema": named(name)}}}


def _refusals(*codes: int) -> dict[str, Any]:
    return {str(code): _told(_WHY[code], "Error") for code in sorted(codes)}


def _plain(description: str, *kinds: str) -> dict[str, Any]:
    content = {kind: {"schema": {"type": "string"}} for kind in kinds}
    return {"description": description, "content": content}


def _reading(summary: str, *answers: tuple[int, dict[str, Any]], **more: Any) -> dict[str, Any]:
    responses = {str(code): answer for code, answer in answers}
    refusals = _refusals(*{400, 401, 403, 413, 421} - {code for code, _ in answers})
    operation = {"summary": summary, "responses": {**refusals, **responses}, **more}
    return {"get": operation}


def _reads() -> dict[str, Any]:
    query = [
        {"name": name, "in": "query", "required": False, "schema": schema}
        for name, schema in _QUERY.items()
    ]
    open_: dict[str, Any] = {"security": [{}]}
    return {
        "/": _reading(
            "The status page.", (200, _plain("a page", "text/html", "text/plain")), **open_
        ),
        "/live": _reading(
            "Whether this process is alive; a stop changes nothing about that.",
            (200, _told("it is", "Live")),
            (503, _told("a check has failed, or took too long", "Live")),
            **open_,
        ),
        "/ready": _reading(
            "Whether it wants to be sent anything; no more from the first moment of a stop.",
            (200, _told("it does", "Ready")),
            (503, _told("it does not", "Ready")),
            **open_,
        ),
        "/startup": _reading(
            "Whether it has ever served.",
            (200, _told("it has", "Startup")),
            (503, _told("it has not", "Startup")),
            **open_,
        ),
        "/status": _reading("How it stands.", (200, _told("that", "Status"))),
        "/connections": _reading(
            "The live connections.", (200, _told("a page of them", "Connections")), parameters=query
        ),
        "/metrics": _reading(
            "Metrics for Prometheus.",
            (200, _plain("metrics", "text/plain")),
            (501, _told(_WHY[501], "Error")),
        ),
        "/events": _reading(
            "What happens, as it happens: events named status, with the status, and end.",
            (200, _plain("a stream of events", "text/event-stream")),
            (503, _told("too many are watching", "Error")),
        ),
        "/openapi.json": _reading(
            "This description.",
            (200, {"description": "that", "content": {_JSON: {"schema": {"type": "object"}}}}),
        ),
    }


def _acting(summary: str, given: dict[str, Schema], success: int) -> dict[str, Any]:
    given = {**given, **_PID}
    schema = shape(given, optional=tuple(given))
    header = {"name": "X-Terminable", "in": "header", "required": False}
    wanted = {"description": "1, at a TCP port without credentials", "schema": {"const": "1"}}
    return {
        "post": {
            "summary": summary,
            "parameters": [{**header, **wanted}],
            "requestBody": {"required": False, "content": {_JSON: {"schema": schema}}},
            "responses": {
                str(success): _told("begun, or done", "Status"),
                **_refusals(400, 401, 403, 408, 409, 413, 415, 421),
            },
        }
    }


def description() -> dict[str, Any]:
    """
    @return: the whole description.
    """
    acts = {path: _acting(*action) for path, action in _ACTIONS.items()}
    version = getattr(sys.modules["terminable"], "__version__", "")
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "The admin door of terminable",
            "version": version,
            "description": "Points in time are seconds since 1970; lengths of time are seconds.",
        },
        "paths": {**_reads(), **acts},
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }
