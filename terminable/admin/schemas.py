"""
What the answers of the admin API look like, as JSON Schema (2020-12, which OpenAPI 3.1 uses).
"""

from __future__ import annotations

from typing import Any

from terminable.admin.words import STATES
from terminable.policy.ledger import Outcome, State

Schema = dict[str, Any]

#: Where a server may stand.
PHASES = (
    "starting",
    "serving",
    "suspended",
    "quiescing",
    "draining",
    "aborting",
    "terminated",
)


def text(description: str, **more: Any) -> Schema:
    """
    @return: a text.
    """
    return {"type": "string", "description": description, **more}


def count(description: str, **more: Any) -> Schema:
    """
    @return: a whole number, 0 or more.
    """
    return {"type": "integer", "minimum": 0, "description": description, **more}


def seconds(description: str, **more: Any) -> Schema:
    """
    @return: a time.
    """
    return {"type": "number", "minimum": 0, "description": description, **more}


def truth(description: str) -> Schema:
    """
    @return: yes or no.
    """
    return {"type": "boolean", "description": description}


def orNull(schema: Schema) -> Schema:
    """
    @return: the same, or null.
    """
    if "$ref" in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    return {**schema, "type": [schema["type"], "null"]}


def listOf(items: Schema, description: str) -> Schema:
    """
    @return: a list.
    """
    return {"type": "array", "items": items, "description": description}


def shape(properties: dict[str, Schema], optional: tuple[str, ...] = ()) -> Schema:
    """
    @return: an object that has these properties and no others.
    """
    required = [name for name in properties if name not in optional]
    found = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**found, "required": required} if required else found


def named(name: str) -> Schema:
    """
    @return: what is described elsewhere.
    """
    return {"$ref": f"#/components/schemas/{name}"}


_STREAM = shape({"id": count("its number"), "doing": text("its method and path")})

_CONNECTION = shape(
    {
        "id": text("what it is called by its process, for as long as it lives"),
        "pid": count("the number of its process"),
        "peer": text("the other end"),
        "local": text("our end"),
        "protocol": text("the class of the application's protocol"),
        "state": text("what it is doing", enum=list(STATES)),
        "doing": text("what is in flight, such as a method and a path; perhaps empty"),
        "age": seconds("since it was accepted"),
        "lastReceived": orNull(seconds("since the peer's last byte; null if there is none")),
        "lastSent": orNull(seconds("since our last byte; null if none is confirmed")),
        "received": orNull(count("bytes from the peer; null where the kernel does not say")),
        "sent": orNull(count("bytes to the peer that it has confirmed; null likewise")),
        "unsent": count("bytes that the peer has not confirmed"),
        "told": truth("whether it was told to go"),
        "streams": listOf(_STREAM, "of HTTP/2 alone: what is in flight"),
    },
    optional=("streams",),
)

_ENTRY = shape(
    {
        "peer": text("the other end"),
        "protocol": text("the class of the application's protocol"),
        "doing": text("what was in flight"),
        "state": text("what it was doing", enum=[state.value for state in State]),
        "age": seconds("since it was accepted"),
        "unsent": count("bytes that the peer had not confirmed"),
        "outcome": text("what came of it", enum=[outcome.value for outcome in Outcome]),
        "told": text("the last word that it was given, such as 503; perhaps empty"),
    }
)

_REPORT = shape(
    {
        "opened": count("connections since listening began"),
        "before": count("ended before the stop was asked for"),
        "idle": count("had nothing in flight from then on"),
        "finished": count("completed what was in flight"),
        "left": count("went away with something in flight"),
        "aborted": count("were aborted"),
        "seconds": seconds("how long the stop took"),
        "graceful": truth("whether nobody was aborted"),
        "entries": listOf(named("Entry"), "those that did not simply end, at most 100"),
    }
)

_GENERATION = shape(
    {
        "phase": text("where it stands"),
        "busy": count("connections with something in flight"),
        "idle": count("the others"),
    }
)

_THROTTLE = shape(
    {
        "held": count("how often a connection had to wait for its rate"),
        "refused": count("messages that were one too many"),
        "disconnected": count("connections that were told to go"),
    }
)

_STATUS = shape(
    {
        "version": text("of terminable"),
        "pid": count("the number of the process"),
        "name": text("what the server is called"),
        "phase": text("where it stands", enum=list(PHASES)),
        "since": seconds("when that phase was first seen, in seconds since 1970"),
        "uptime": seconds("for how long it has been watched"),
        "busy": count("connections with something in flight"),
        "idle": count("the other connections"),
        "waiting": count("connections that wait to be admitted, which are not among these"),
        "counting": truth("whether the count of a stop goes on, and idle are also busy ones"),
        "left": orNull(seconds("until stragglers are aborted; null without a deadline")),
        "deadline": orNull(seconds("when that will be, in seconds since 1970")),
        "oldest": orNull(named("Connection")),
        "generations": listOf(_GENERATION, "older ones that are still draining"),
        "throttle": _THROTTLE,
        "ports": listOf(text("such as tcp 127.0.0.1:8080"), "where it listens"),
        "idleGrace": seconds("for which a connection with nothing in flight is kept at a stop"),
        "longestTurn": seconds("the most that one turn of the reactor has spent on a drain"),
        "upgrade": orNull(text("the last upgrade: under way, done, or failed and why")),
        "report": orNull(named("Report")),
    }
)

_CHECK = shape({"ok": truth("whether all is well"), "detail": text("what is wrong; perhaps empty")})

_CHECKS = {
    "type": "object",
    "additionalProperties": _CHECK,
    "description": "the checks of the application, by name",
}


def health(*statuses: str) -> Schema:
    """
    @return: what a probe is told.
    """
    return shape({"status": text("how it is", enum=list(statuses)), "checks": _CHECKS})


SCHEMAS = {
    "Connection": _CONNECTION,
    "Entry": _ENTRY,
    "Report": _REPORT,
    "Status": _STATUS,
    "Connections": shape(
        {
            "pid": count("the number of the process that answers"),
            "total": count("how many there are that were asked for"),
            "busy": count("of all connections, those with something in flight"),
            "idle": count("of all connections, the others"),
            "waiting": count("connections that wait to be admitted, which are not among these"),
            "connections": listOf(named("Connection"), "one page of them"),
        }
    ),
    "Live": health("ok", "failing"),
    "Ready": health("ready", "failing", *(phase for phase in PHASES if phase != "serving")),
    "Startup": shape({"status": text("how it is", enum=["started", "starting"])}),
    "Error": shape({"error": text("why, one line")}),
}
