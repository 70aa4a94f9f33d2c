"""
SMTP, ESMTP and LMTP, as C{twisted.mail} serves them.

A message that was received in full and has not been answered leaves no trace in the
protocol, and neither does a sender that is being validated, or somebody who is being
authenticated.  So the answers that each connection owes are counted from its beginning.
"""

from __future__ import annotations

from typing import Any

from twisted.mail.smtp import COMMAND, SMTP, Address
from twisted.python.components import registerAdapter

from terminable.drainers import library
from terminable.drainers.commands import CommandDrainer
from terminable.drainers.plain import readable
from terminable.interfaces import IDrainer, IDrainWatch
from terminable.tracking import internals


class _Answers:
    """
    Stands in for two methods of one protocol, by which every command begins, and every
    answer is sent.

    @ivar owed: how many answers the client has to expect.
    @ivar command: the last command that there is, in capitals.
    @ivar sender: who sends the message that was last begun.
    @ivar told: called after each line of an answer, once a drain has begun.
    """

    __slots__ = (
        "_isLMTP",
        "_lookup",
        "_protocol",
        "_recipients",
        "_send",
        "command",
        "owed",
        "sender",
        "told",
    )

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol
        self._lookup = protocol.lookupMethod
        self._send = protocol.sendLine
        self._isLMTP = False
        self._recipients = 0
        self.owed = 0
        self.command = ""
        self.sender: Any = None
        self.told: Any = None
        protocol.lookupMethod = self.lookupMethod
        protocol.sendLine = self.sendLine

    def lookupMethod(self, command: Any) -> Any:
        """
        A command begins.
        """
        method = self._lookup(command)
        self.owed += 1
        if method is not None:
            name = command if isinstance(command, str) else command.decode("ascii", "replace")
            self.command = name = name.upper()
            if name == "DATA":
                self.sender = internals.smtpSender(self._protocol)
                self._recipients = internals.smtpRecipients(self._protocol)
            elif name in ("LHLO", "EHLO", "HELO"):
                self._isLMTP = name == "LHLO"
        return method

    def sendLine(self, line: bytes) -> Any:
        """
        A line of an answer is sent; the last has no hyphen behind its code (RFC 5321,
        section 4.2.1).
        """
        result = self._send(line)
        if line[3:4] != b"-":
            self._answered(line[:3])
        if self.told is not None:
            self.told()
        return result

    def _answered(self, code: bytes) -> None:
        if code[:1] != b"3":
            # A line that is too long ends a message at once, for all recipients.
            paid = self.owed if self._isLMTP and code == b"500" else 1
            self.owed = max(0, self.owed - paid)
        elif self._isLMTP and code == b"354":
            # One for each recipient: RFC 2033, section 4.2.
            self.owed += self._recipients - 1


def watch(protocol: Any) -> _Answers:
    """
    Count what a connection owes; again and again is once.
    """
    found = _watched(protocol)
    return _Answers(protocol) if found is None else found


def _watched(protocol: Any) -> _Answers | None:
    found = getattr(protocol.lookupMethod, "__self__", None)
    return found if isinstance(found, _Answers) else None


class SMTPDrainer(CommandDrainer):
    """
    Lets a mail transaction complete, and whatever else is owed an answer.
    """

    word = "421"

    def _owes(self) -> bool:
        answers = _watched(self.protocol)
        return answers is not None and bool(answers.owed)

    def _isOpen(self) -> bool:
        """
        Whether it is known that something has begun, and the client's turn.
        """
        protocol = self.protocol
        return protocol.mode != COMMAND or bool(internals.smtpSender(protocol))

    def isBusy(self) -> bool:
        """
        Whether there is a sender, a message or an authentication, or an answer is owed.
        """
        return self._isOpen() or self._owes()

    def waits(self) -> bool:
        """
        Whether the last command, of which the answer is owed, opens or ends a transaction.
        """
        return self._owes() and not self._isOpen()

    def permits(self, line: bytes) -> bool:
        """
        QUIT is answered as ever.
        """
        return line.strip().upper() == b"QUIT"

    def goodbye(self) -> None:
        """
        RFC 5321, sections 3.8 and 4.2.3.
        """
        text = b" Service not available, closing transmission channel"
        self.protocol.sendCode(421, self.protocol.host + text)

    def hint(self, idle: IDrainWatch) -> None:
        """
        From now on no transaction begins.
        """
        watch(self.protocol).told = self.look
        super().hint(idle)

    def describe(self) -> str:
        """
        The sender, the last command, and whether its answer is owed.
        """
        if not self.isBusy():
            return ""
        protocol, answers = self.protocol, _watched(self.protocol)
        sender = internals.smtpSender(protocol)
        command = answers.command if answers else ""
        if protocol.mode != COMMAND:
            command = command or protocol.mode
        if answers and command == "DATA":
            sender = sender or answers.sender
        words = []
        if sender:
            words.append(f"MAIL FROM:<{_address(sender)}>")
        if command and not (sender and command == "MAIL"):
            words.append(command)
        pending = self._owes() and protocol.mode == COMMAND
        return " ".join(words) + (", answer pending" if pending else "")


def _address(sender: Any) -> str:
    """
    A sender, who is what the application made of an address.
    """
    if isinstance(sender, (Address, bytes)):
        return readable(bytes(sender))
    return readable(str(sender).encode("utf-8", "backslashreplace"))


def register() -> None:
    """
    Make this the drainer of all that extends C{SMTP}.
    """
    registerAdapter(SMTPDrainer, SMTP, IDrainer)
    library.watched[SMTP] = watch
