"""
What clients of busy servers need: calls that are not made too often, questions that wait
for the answer before, and requests that come again when the server says so.
"""

from __future__ import annotations

from terminable.pacing.onebyone import OneByOne
from terminable.pacing.requests import patiently, retryAfter
from terminable.pacing.throttling import Throttle, throttle

__all__ = ["OneByOne", "Throttle", "patiently", "retryAfter", "throttle"]
