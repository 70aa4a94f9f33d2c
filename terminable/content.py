"""
What a command line names: what is served, and where.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from OpenSSL.crypto import Error as CertificateError
from OpenSSL.SSL import Error as SSLError
from twisted.internet.endpoints import StandardIOEndpoint
from twisted.internet.interfaces import IProtocolFactory
from twisted.python.reflect import namedAny
from twisted.web.resource import IResource
from twisted.web.server import Site
from twisted.web.static import File
from twisted.web.wsgi import WSGIResource

from terminable.certificates import renewing
from terminable.demo import demoSite
from terminable.endpoints import TerminableEndpoint
from terminable.errors import InvalidOption
from terminable.preflight import cannotListen

_PORT = "a port number or an endpoint description such as tcp:8080:interface=127.0.0.1"

Result = TypeVar("Result")


def reasonOf(problem: BaseException | None) -> str:
    """
    @return: what went wrong, on one line.
    """
    return " ".join(f"{type(problem).__name__}: {problem}".split())


def namedAs(option: str, name: str, expected: str) -> Any:
    """
    Import what a dotted name names.

    @param option: who named it, for the error message.
    @raise InvalidOption: it is not there.
    """
    sys.path.insert(0, os.getcwd())
    try:
        return namedAny(name)
    except Exception as problem:
        raise InvalidOption(option, name, f"{expected} ({reasonOf(problem)})") from None
    finally:
        sys.path.remove(os.getcwd())


def _made(option: str, name: str, make: Callable[[], Result], expected: str) -> Result:
    try:
        return make()
    except Exception as problem:
        raise InvalidOption(option, name, f"{expected} ({reasonOf(problem)})") from None


def _directory(path: str, reactor: Any) -> Any:
    if not os.path.isdir(path) or not os.access(path, os.R_OK | os.X_OK):
        raise InvalidOption("--path", path, "a directory that can be read")
    return Site(File(path), reactor=reactor)


def _resource(name: str, reactor: Any) -> Any:
    expected = "the dotted name of a resource class that needs no arguments"
    made = _made("--class", name, namedAs("--class", name, expected), expected)
    if not IResource.providedBy(made):
        raise InvalidOption("--class", name, expected)
    return Site(made, reactor=reactor)


def _wsgi(name: str, reactor: Any) -> Any:
    expected = "the dotted name of a WSGI application"
    application = namedAs("--wsgi", name, expected)
    if not callable(application):
        raise InvalidOption("--wsgi", name, expected)
    return Site(WSGIResource(reactor, reactor.getThreadPool(), application), reactor=reactor)


def _factory(name: str, reactor: Any) -> Any:
    expected = "the dotted name of a protocol factory, or of what makes one without arguments"
    found = namedAs("--factory", name, expected)
    if not IProtocolFactory.providedBy(found):
        found = _made("--factory", name, found, expected)
    if not IProtocolFactory.providedBy(found):
        raise InvalidOption("--factory", name, expected)
    return found


_CONTENTS = {"path": _directory, "class": _resource, "wsgi": _wsgi, "factory": _factory}


def contentOf(config: Mapping[str, Any], reactor: Any) -> Any:
    """
    The factory to serve.

    @raise InvalidOption: what was named is not there, or is something else.
    """
    for name, make in _CONTENTS.items():
        if config[name] is not None:
            return make(config[name], reactor)
    return Site(demoSite(reactor), reactor=reactor)


def endpointOf(port: str, reactor: Any) -> Any:
    """
    The endpoint that somebody meant.

    @param port: a number, or a description.
    @raise InvalidOption: neither, or one that nobody could listen on now.
    """
    description = f"tcp:{port}" if port.isdigit() else port
    try:
        endpoint = renewing(reactor, description)
    except TypeError as problem:
        reason = reasonOf(problem)
        expected = f"options of that endpoint; times have options of their own ({reason})"
        raise InvalidOption("--port", port, expected) from None
    except (OSError, CertificateError, SSLError) as problem:
        expected = f"a certificate and a key that can be read ({reasonOf(problem)})"
        raise InvalidOption("--port", port, expected) from None
    except Exception as problem:
        raise InvalidOption("--port", port, f"{_PORT} ({reasonOf(problem)})") from None
    if isinstance(endpoint, TerminableEndpoint):
        raise InvalidOption("--port", port, "an endpoint without terminable: before it")
    if isinstance(endpoint, StandardIOEndpoint):
        raise InvalidOption("--port", port, "an endpoint with a listening port")
    failure = cannotListen(reactor, description)
    if failure is not None:
        reason = reasonOf(failure.value)
        raise InvalidOption("--port", port, f"a port that can be listened on ({reason})")
    return endpoint
