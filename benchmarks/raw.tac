# Another protocol than HTTP by Twisted, on the endpoint, and of the factory, that the
# environment names: for the doors that can serve nothing but web sites.
import os

from twisted.application import service, strports
from twisted.python.reflect import namedAny

application = service.Application("raw")
strports.service(
    os.environ["BENCH_ENDPOINT"], namedAny(os.environ["BENCH_FACTORY"])
).setServiceParent(application)
