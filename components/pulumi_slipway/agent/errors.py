"""The one exception that carries a message for people."""

from __future__ import annotations

from collections.abc import Sequence


class AgentError(Exception):
    """A failure that is explained to the operator.

    `tail` holds the last lines of the program that failed, if one did; they are shown after the message. `code` tells
    programs what they can do about it themselves.
    """

    code = ""

    def __init__(self, message: str, tail: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.tail = list(tail)

    def __str__(self) -> str:
        if not self.tail:
            return self.message
        return "\n".join([self.message, *(f"    {line}" for line in self.tail)])


class MissingUploadError(AgentError):
    """The source is needed, and was not brought: the operator's side does so, and asks again."""

    code = "upload"
