"""
The same for pytest with pytest-twisted, which runs the reactor beside the tests.
"""

import pytest_twisted
import treq
from shop import Shop
from twisted.web.server import Site


@pytest_twisted.ensureDeferred
async def test_price(terminableServer):
    server = await terminableServer(Site(Shop()))
    response = await treq.get(server.url("/tea"))
    assert await response.text() == "12.50"


@pytest_twisted.ensureDeferred
async def test_stop(terminableServer, terminableNothingDropped):
    server = await terminableServer(Site(Shop()))
    tally = await terminableNothingDropped(server, server.terminate, mayRefuse=True)
    assert tally.total > 0
