"""
What Twisted finds: the C{terminable:} endpoint prefix and C{twistd terminable}.
"""

from twisted.application.service import ServiceMaker

from terminable.endpoints import TerminableParser

terminableEndpoint = TerminableParser()

terminableService = ServiceMaker(
    "terminable",
    "terminable.tap",
    "Any server, ended politely or at once.",
    "terminable",
)
