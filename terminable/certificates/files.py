"""
The files of a certificate, as they were at one moment.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509 import Certificate, load_pem_x509_certificate

#: More bytes than this are in no file of certificates.
LONGEST = 2**20

#: What the names of files in a directory of certificates end with, as for Twisted's C{tls:}.
SUFFIX = ".pem"

_BEGIN = b"-----BEGIN "
_END = re.compile(rb"-----END [^-\n]+-----")
_BLOCK = re.compile(rb"-----BEGIN ([^-\n]+)-----.+?-----END \1-----", re.DOTALL)


def blocks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """
    The PEM blocks in C{data}: the label and the text of each.
    """
    for found in _BLOCK.finditer(data):
        yield found[1], found[0] + b"\n"


def certificatesIn(data: bytes) -> list[Certificate]:
    """
    The certificates in C{data}, in order.

    @raise ValueError: one of them is no certificate.
    """
    return [load_pem_x509_certificate(text) for label, text in blocks(data) if _certifies(label)]


def keysIn(data: bytes) -> list[Any]:
    """
    The private keys in C{data}, in order.

    @raise ValueError: one of them is no key.
    @raise TypeError: one of them is encrypted.
    """
    return [load_pem_private_key(text, None) for label, text in blocks(data) if _unlocks(label)]


def _certifies(label: bytes) -> bool:
    return label.endswith(b"CERTIFICATE")


def _unlocks(label: bytes) -> bool:
    return label.endswith(b"PRIVATE KEY")


def identity(owner: Any) -> bytes:
    """
    The public key of a certificate or of a private key, by which the two are compared.
    """
    public: bytes = owner.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return public


def cutOff(data: bytes) -> str | None:
    """
    Why C{data} is not the whole of a file, C{None} if nothing speaks against it.
    """
    if not data:
        return "is empty"
    if data.count(_BEGIN) != len(_END.findall(data)):
        return "is cut off"
    return None


def unreadable(data: bytes) -> str | None:
    """
    What in C{data} is neither a certificate nor a key, C{None} if it all is.
    """
    if _BEGIN not in data:
        return "has nothing in PEM format"
    try:
        certificatesIn(data)
    except (ValueError, UnsupportedAlgorithm):
        return "has a certificate that cannot be read"
    try:
        keysIn(data)
    except TypeError:
        # Encrypted; whoever loads it may know the passphrase.
        return None
    except (ValueError, UnsupportedAlgorithm):
        return "has a key that cannot be read"
    return None


class Snapshot:
    """
    What stood in some files.

    @ivar files: the contents of those that could be read, by path.
    @ivar faults: why the others could not, by path.
    @ivar digest: the same for the same contents, errors included.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        """
        @param paths: files, and directories whose C{.pem} files count.
        """
        self._paths = tuple(paths)
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, str] = {}
        for path in self._paths:
            for file in pemsIn(path, self._fault) if os.path.isdir(path) else [path]:
                self._read(file)
        seen = [*sorted(self.files.items()), *sorted(self.faults.items())]
        self.digest = sha256(repr(seen).encode()).digest()

    def _fault(self, problem: OSError) -> None:
        self.faults[problem.filename] = problem.strerror or str(problem)

    def _read(self, path: str) -> None:
        try:
            # Not to wait for somebody who writes into a pipe.
            if not stat.S_ISREG(os.stat(path).st_mode):
                raise OSError(0, "is not a file", path)
            with open(path, "rb") as file:
                data = file.read(LONGEST + 1)
            if len(data) > LONGEST:
                raise OSError(0, f"is longer than {LONGEST} bytes", path)
        except OSError as problem:
            self._fault(problem)
        else:
            self.files[path] = data

    def incomplete(self) -> str | None:
        """
        Which files are missing, unreadable or half written, in words; C{None} if none is.
        """
        faults = dict(self.faults)
        for path, data in self.files.items():
            if fault := cutOff(data):
                faults[path] = fault
        return _listed(faults)

    def explanation(self) -> str | None:
        """
        What is wrong with the files, in words; C{None} if that cannot be seen in them.
        """
        faults = {path: fault for path, data in self.files.items() if (fault := unreadable(data))}
        try:
            return _listed(faults) or self._mismatch()
        except (ValueError, UnsupportedAlgorithm):
            return None

    def _mismatch(self) -> str | None:
        certified: dict[bytes, str] = {}
        unlocked: dict[bytes, str] = {}
        for path, data in self.files.items():
            certified.update((identity(each), path) for each in certificatesIn(data))
            try:
                unlocked.update((identity(each), path) for each in keysIn(data))
            except TypeError:
                return None
        if not certified:
            return f"{', '.join(self._paths)}: no certificate"
        if not unlocked:
            return f"{', '.join(self._paths)}: no key"
        if certified.keys() & unlocked.keys():
            return None
        keys, certificates = sorted({*unlocked.values()}), sorted({*certified.values()})
        return (
            f"the key in {', '.join(keys)} does not belong to the certificate"
            f" in {', '.join(certificates)}"
        )

    def holders(self, certificate: Certificate) -> str:
        """
        The files in which a certificate stands, in words; all of them if that cannot be seen.
        """
        holding = []
        for path, data in self.files.items():
            try:
                if certificate in certificatesIn(data):
                    holding.append(path)
            except ValueError:
                continue
        return ", ".join(holding or self._paths)


def pemsIn(directory: str, onError: Callable[[OSError], object] | None = None) -> list[str]:
    """
    The paths that end with C{.pem} in a directory and in those below it, sorted.
    """
    return sorted(
        os.path.join(folder, name)
        for folder, names in foldersIn(directory, onError)
        for name in names
        if name.endswith(SUFFIX)
    )


def foldersIn(
    directory: str, onError: Callable[[OSError], object] | None = None
) -> Iterator[tuple[str, Sequence[str]]]:
    """
    A directory and those below it, each once however many links lead to it, and the names
    of the files in each.

    @param onError: called with the error of each that cannot be read.
    """
    seen = {os.path.realpath(directory)}
    for folder, below, names in os.walk(directory, onerror=onError, followlinks=True):
        below.sort()
        for name in list(below):
            real = os.path.realpath(os.path.join(folder, name))
            if real in seen:
                below.remove(name)
            seen.add(real)
        yield folder, names


def _listed(faults: dict[str, str]) -> str | None:
    return "; ".join(f"{path}: {fault}" for path, fault in faults.items()) or None
