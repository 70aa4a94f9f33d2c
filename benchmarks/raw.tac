# A raw protocol that ignores every goodbye, on the endpoint that the
# environment names: for the doors that can serve nothing but web sites.
import os

from twisted.application import service, strports

import resources

application = service.Application("raw")
strports.service(os.environ["BENCH_ENDPOINT"], resources.stubborn).setServiceParent(application)
