"""
Commands of protocols that speak in lines, and answer each in words of their own.

A line that is no command (part of a mail, a password, what follows a literal) belongs to the
one before it: it is not counted, and never refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from terminable.throttling.charges import Refusal
from terminable.throttling.meter import Meter
from terminable.throttling.meters.lines import LineMeter, LineOnlyMeter


def _text(refusal: Refusal) -> str:
    return f"{refusal.limit.words}: try again in {refusal.wholeSeconds} s"


class CommandMixin(Meter):
    """
    Counts a line only if it is a command.
    """

    def isCommand(self) -> bool:
        """
        Whether the next line will be one.
        """
        raise NotImplementedError  # pragma: no cover

    def count(self, handle: Callable[..., object], message: tuple[Any, ...]) -> Any:
        """
        See L{Meter.count}.
        """
        if self.isCommand():
            return super().count(handle, message)
        return handle(*message)


class SMTPMeter(CommandMixin, LineOnlyMeter):
    """
    Commands of C{twisted.mail.smtp.SMTP}, ESMTP and LMTP; RFC 5321, section 4.2.
    """

    def isCommand(self) -> bool:
        """
        See L{CommandMixin.isCommand}.
        """
        return bool(self.protocol.mode == "COMMAND")

    def refuse(self, refusal: Refusal, *message: Any) -> None:
        """
        A temporary failure, with RFC 3463's code for policies.
        """
        # Who counts the answers that are owed counts the commands by this.
        self.protocol.lookupMethod(b"NOOP")
        self.protocol.sendCode(421 if refusal.last else 450, f"4.7.0 {_text(refusal)}".encode())

    def warn(self, refusal: Refusal) -> None:
        """
        The channel is closing.
        """
        self.protocol.sendCode(421, f"4.7.0 {_text(refusal)}".encode())


class POP3Meter(CommandMixin, LineOnlyMeter):
    """
    Commands of C{twisted.mail.pop3.POP3}.
    """

    def isCommand(self) -> bool:
        """
        See L{CommandMixin.isCommand}.
        """
        return bool(self.protocol.state == "COMMAND")

    def refuse(self, refusal: Refusal, *message: Any) -> None:
        """
        RFC 3206, section 4: a temporary error of the system.
        """
        self.protocol.failResponse(f"[SYS/TEMP] {_text(refusal)}".encode())

    def warn(self, refusal: Refusal) -> None:
        """
        It has no words that are no answer.
        """


class IMAP4Meter(CommandMixin, LineMeter):
    """
    Commands of C{twisted.mail.imap4.IMAP4Server}.
    """

    def isCommand(self) -> bool:
        """
        See L{CommandMixin.isCommand}.
        """
        return bool(self.protocol.parseState == "command")

    def refuse(self, refusal: Refusal, *message: Any) -> None:
        """
        RFC 5530, section 3: temporarily not available.
        """
        _, line = message
        tag = (line.split(None, 1) or [b"*"])[0]
        text = f"[UNAVAILABLE] {_text(refusal)}".encode()
        self.protocol.sendNegativeResponse(tag, text)

    def warn(self, refusal: Refusal) -> None:
        """
        RFC 9051, section 7.1.5.
        """
        self.protocol.sendUntaggedResponse(f"BYE [UNAVAILABLE] {_text(refusal)}".encode())


class FTPMeter(LineMeter):
    """
    Commands of C{twisted.protocols.ftp.FTP}; RFC 959, section 4.2.
    """

    def refuse(self, refusal: Refusal, *message: Any) -> None:
        """
        A transient failure.
        """
        self.protocol.sendLine(f"{421 if refusal.last else 450} {_text(refusal)}")

    def warn(self, refusal: Refusal) -> None:
        """
        The control connection is closing.
        """
        self.protocol.sendLine(f"421 {_text(refusal)}")
