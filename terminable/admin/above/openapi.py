"""
The description of the admin API above workers.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from terminable.admin import openapi
from terminable.admin.above.whole import STATES
from terminable.admin.schemas import Schema, count, listOf, named, orNull, seconds, shape, text

_WORKER = shape(
    {
        "pid": orNull(count("the number of its process; null before it has one")),
        "state": text("where it stands", enum=list(dict.fromkeys(STATES.values()))),
        "age": seconds("since it was started"),
        "busy": orNull(count("its connections with something in flight; null if it says nothing")),
        "idle": orNull(count("its other connections")),
        "waiting": orNull(count("those of them that wait to be admitted")),
    }
)

_MISSING = listOf(count("the number of a process"), "the workers that have not answered in time")

_STATUS = {
    "workers": listOf(named("Worker"), "each worker that has not ended, oldest first"),
    "wanted": count("how many workers there are to be"),
    "restarts": count("workers that have ended by themselves, and others came instead"),
    "restart": orNull(text("the last rolling restart: under way, done, or failed and why")),
    "missing": _MISSING,
}


def _add(schema: Schema, properties: dict[str, Schema]) -> None:
    schema["properties"].update(properties)
    schema["required"] = [*schema["required"], *properties]


def description() -> dict[str, Any]:
    """
    @return: the whole description.
    """
    found = deepcopy(openapi.description())
    schemas = found["components"]["schemas"]
    schemas["Worker"] = _WORKER
    _add(schemas["Status"], _STATUS)
    _add(schemas["Connections"], {"missing": _MISSING})
    restart = deepcopy(found["paths"]["/upgrade"])
    restart["post"]["summary"] = "Replace the workers one by one, as SIGHUP does."
    found["paths"]["/restart"] = restart
    drain = found["paths"]["/drain"]["post"]
    drain["responses"]["503"] = {
        **drain["responses"]["409"],
        "description": "no worker has answered in time",
    }
    return found
