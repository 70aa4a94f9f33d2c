"""
Two processes of hello.tac, below one that supervises them.

    twistd -ny workers.tac
"""

import os

from twisted.application import service
from twisted.internet import reactor
from twisted.internet.endpoints import serverFromString

from terminable.handover.workers import Workers
from terminable.supervising import supervise

listen = os.environ.get("HELLO_LISTEN", "tcp:8080:interface=127.0.0.1")
hello = os.path.join(os.path.dirname(os.path.abspath(__file__)), "hello.tac")

workers = Workers(
    reactor,
    ["twistd", "--nodaemon", "--pidfile=", "--python", hello],
    2,
    [serverFromString(reactor, listen)],
    gracePeriod=20.0,  # that of hello.tac
)
supervise(reactor, workers)  # signals, a progress line a second, the exit status

application = service.Application("workers")
workers.setServiceParent(application)
