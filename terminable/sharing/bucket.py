"""
The one script that all processes have Redis run: a token bucket on Redis' own clock.

What is stored for a bucket is how much has been taken out of it and when; a bucket that is
full is not stored at all.  A script is atomic (Redis, "Scripting with Lua"), and what it
writes is replicated as such, not the script, so that it may ask for the time: from Redis 5 on.

Nothing is taken from a bucket in which there is not enough, and nothing is written then.
"""

from __future__ import annotations

import hashlib

#: Asked with a key, and with the rate per second, the burst and the amount as texts; answers
#: the microseconds to wait, an integer: 0 if the amount was taken.
SCRIPT = b"""
local rate, burst, amount = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local used = 0
local stored = redis.pcall('GET', KEYS[1])
if type(stored) == 'string' then
    local before, at = string.match(stored, '^(%S+) (%d+)$')
    before, at = tonumber(before), tonumber(at)
    if before and at then
        local passed = math.max(0, now - at) / 1000000
        used = math.max(0, before - passed * rate)
    end
end
local missing = used + amount - burst
if missing > 1e-9 * burst then
    return math.ceil(missing / rate * 1000000)
end
used = used + amount
local life = math.max(1, math.ceil(used / rate * 1000))
redis.call('SET', KEYS[1], string.format('%.17g %.0f', used, now), 'PX', life)
return 0
"""

#: How many bytes of a key are used as they are, behind the name of the quota.
LONGEST_KEY = 128


def keyOf(name: str, key: str | bytes) -> bytes:
    """
    What a bucket is called in Redis.

    @param name: of the quota.
    @param key: whose bucket it is.
    @return: C{name:key}, or with a digest (SHA-256, as hexadecimal digits) in the place of a
        key of more than L{LONGEST_KEY} bytes.
    """
    if isinstance(key, str):
        key = key.encode("utf-8", "surrogateescape")
    if len(key) > LONGEST_KEY:
        key = b"sha256=" + hashlib.sha256(key).hexdigest().encode()
    return name.encode() + b":" + key
