"""
A database that outlives the requests which use it.

    twistd --nodaemon --python tac/ordered.tac
    curl http://127.0.0.1:8080/?seconds=5

A service that is added to a L{terminable.TerminableService} is started before the
first connection is accepted, and stopped after the last one is gone: press ^C while
curl waits, and look at the order of the lines in the log. In an ordinary
C{MultiService} all parts are stopped at the same moment, and this request would find
its database closed.
"""

import os

from twisted.application.service import Application, Service
from twisted.enterprise.adbapi import ConnectionPool
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from terminable import TerminableService, Terminator, watch

log = Logger("ordered")


class Database(Service):
    """
    Keeps visits, for as long as it runs.
    """

    def startService(self):
        super().startService()
        # One thread: a database in memory belongs to the one that opened it.
        name = os.environ.get("DATABASE", ":memory:")
        self.pool = ConnectionPool("sqlite3", name, cp_min=1, cp_max=1, check_same_thread=False)
        self.pool.start()
        self.pool.runOperation("create table if not exists visits (path text)")
        log.info("database started")

    def stopService(self):
        super().stopService()
        self.pool.close()
        log.info("database stopped")

    async def visit(self, path):
        """
        Note a visit, and count those until now.
        """
        await self.pool.runOperation("insert into visits values (?)", (path,))
        [(count,)] = await self.pool.runQuery("select count(*) from visits")
        return count


class Visits(Resource):
    """
    Thinks for a while, and then needs the database.
    """

    isLeaf = True

    def __init__(self, database):
        super().__init__()
        self.database = database

    def render_GET(self, request):
        Deferred.fromCoroutine(self.answer(request)).addErrback(request.processingFailed)
        return NOT_DONE_YET

    async def answer(self, request):
        seconds = float(request.args.get(b"seconds", [b"0"])[0])
        await deferLater(reactor, seconds)
        count = await self.database.visit(request.path.decode())
        request.write(b"visit number %d\n" % count)
        request.finish()
        log.info("answered")


port = os.environ.get("PORT", "8080")
endpoint = serverFromString(reactor, f"tcp:{port}:interface=127.0.0.1")

database = Database()
terminator = Terminator(reactor, gracePeriod=25.0)
# A progress line a second while it ends; a second signal ends it at once.
watch(reactor, terminator)
server = TerminableService(terminator)
server.listenOn(endpoint, Site(Visits(database)))
database.setServiceParent(server)

# twistd looks for this name.
application = Application("ordered")
server.setServiceParent(application)
