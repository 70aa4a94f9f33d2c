"""
A server whose certificate is renewed while it runs, from a context factory of one's own.

    CERTIFICATE=site.crt KEY=site.key twistd -ny renewed.tac
"""

import os

from twisted.application import service
from twisted.internet import reactor
from twisted.internet.endpoints import SSL4ServerEndpoint
from twisted.internet.ssl import DefaultOpenSSLContextFactory
from twisted.web.server import Site
from twisted.web.static import Data

from terminable import TerminableService, Terminator, watch
from terminable.certificates import RenewedContext, renewOnHangup, watchFiles

files = [os.path.abspath(os.environ[name]) for name in ("KEY", "CERTIFICATE")]
renewed = RenewedContext(lambda: DefaultOpenSSLContextFactory(*files), files)
watchFiles(reactor, [renewed])  # when the files change
renewOnHangup(reactor, [renewed])  # at SIGHUP

port = int(os.environ.get("PORT", "8443"))
endpoint = SSL4ServerEndpoint(reactor, port, renewed, interface="127.0.0.1")
page = Data(b"secret\n", "text/plain")
page.isLeaf = True

terminator = Terminator(reactor, gracePeriod=20.0)
watch(reactor, terminator)
server = TerminableService(terminator)
server.listenOn(endpoint, Site(page))

application = service.Application("renewed")
server.setServiceParent(application)
