"""
What is to be tested: a shop with one page.
"""

from twisted.web.resource import Resource


class Shop(Resource):
    """
    Tells the price of whatever it is asked for.
    """

    isLeaf = True

    def render_GET(self, request):
        request.setHeader(b"content-type", b"text/plain")
        return b"12.50"
