"""
The same test, which leaves nothing behind; and one that the first could not have.
"""

import treq
from shop import Shop
from twisted.trial.unittest import TestCase
from twisted.web.server import Site

from terminable.testing import TerminableTestMixin


class ShopTests(TerminableTestMixin, TestCase):
    async def test_price(self):
        server = await self.serve(Site(Shop()))
        response = await treq.get(server.url("/tea"))
        self.assertEqual(await response.text(), "12.50")

    async def test_stop(self):
        server = await self.serve(Site(Shop()))
        tally = await self.assertNothingDropped(server, server.terminate, mayRefuse=True)
        self.assertGreater(tally.total, 0)
