"""
A test as it is often written.  The price is right, and yet the test fails.
"""

import treq
from shop import Shop
from twisted.internet import reactor
from twisted.trial.unittest import TestCase
from twisted.web.server import Site


class ShopTests(TestCase):
    async def test_price(self):
        port = reactor.listenTCP(0, Site(Shop()), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        response = await treq.get(f"http://127.0.0.1:{port.getHost().port}/tea")
        self.assertEqual(await response.text(), "12.50")
