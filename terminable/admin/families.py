"""
The metrics that there are: their names, kinds, meanings and labels.
"""

from __future__ import annotations

from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

GAUGE, COUNTER, HISTOGRAM = GaugeMetricFamily, CounterMetricFamily, HistogramMetricFamily

#: The metrics by their names without C{terminable_}: kind, meaning, labels.
FAMILIES: dict[str, tuple[Any, str, tuple[str, ...]]] = {
    "build_info": (GAUGE, "Always 1.", ("version",)),
    "phase": (GAUGE, "1 for the phase in which the server is, 0 for the others.", ("phase",)),
    "connections": (
        GAUGE,
        "Live connections, by what they are doing and their protocol's class.",
        ("state", "protocol"),
    ),
    "phase_connections": (
        GAUGE,
        "Live connections, by the phase of their generation.",
        ("phase",),
    ),
    "requests_in_flight": (
        GAUGE,
        "Streams of HTTP/2, and one for each other busy connection.",
        (),
    ),
    "oldest_busy_seconds": (
        GAUGE,
        "Age of the oldest busy connection; 0 if none is busy.",
        (),
    ),
    "opened": (COUNTER, "Connections that were accepted.", ()),
    "ended": (
        COUNTER,
        "Connections that are over: before a stop began, or in it idle, finished, left, aborted.",
        ("outcome",),
    ),
    "drained": (COUNTER, "Connections that were drained while others stayed.", ()),
    "draining_connections": (GAUGE, "Connections that are being drained while others stay.", ()),
    "draining_generations": (GAUGE, "Older generations that are still draining.", ()),
    "waiting": (GAUGE, "Connections that wait to be admitted.", ()),
    "refused": (
        COUNTER,
        "Connections that were not admitted: queue full, too many of one peer, too late, a stop.",
        ("reason",),
    ),
    "accept_queue": (GAUGE, "Connections in the queues of the ports, not accepted yet.", ()),
    "throttled": (
        COUNTER,
        "How often a limit held a connection, refused a message, disconnected a peer.",
        ("what",),
    ),
    "throttled_connections": (GAUGE, "Connections that are held back by a limit.", ()),
    "spool_items": (GAUGE, "Items of the spool, by how they stand.", ("state",)),
    "spool_oldest_seconds": (
        GAUGE,
        "Time since the oldest waiting item was recorded; 0 if none waits.",
        (),
    ),
    "longest_turn_seconds": (
        GAUGE,
        "Most processor time that a turn of the reactor was spent on draining.",
        (),
    ),
    "time_left_seconds": (
        GAUGE,
        "Time until the deadline of the stop; infinite if there is none.",
        (),
    ),
    "stop_duration_seconds": (HISTOGRAM, "How long stops took.", ()),
}


def family(name: str) -> Any:
    """
    @return: a metric that has no numbers yet.
    """
    kind, text, labels = FAMILIES[name]
    return kind(f"terminable_{name}", text, labels=labels)


def one(name: str, value: float, *labels: str) -> Any:
    """
    @return: a metric with one number.
    """
    found = family(name)
    found.add_metric(labels, value)
    return found


def many(name: str, values: dict[str, int]) -> Any:
    """
    @return: a metric with a number for each value of its label.
    """
    found = family(name)
    for label, value in values.items():
        found.add_metric([label], value)
    return found
