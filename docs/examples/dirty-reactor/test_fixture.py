"""
The same for pytest, with a client that blocks.
"""

from http.client import HTTPConnection

from shop import Shop
from twisted.web.server import Site


def test_price(terminableServer):
    server = terminableServer(Site(Shop()))
    client = HTTPConnection(server.host, server.port)
    client.request("GET", "/tea")
    assert client.getresponse().read() == b"12.50"
    client.close()


def test_stop(terminableServer, terminableNothingDropped):
    server = terminableServer(Site(Shop()))
    tally = terminableNothingDropped(server, server.terminate, mayRefuse=True)
    assert tally.total > 0
