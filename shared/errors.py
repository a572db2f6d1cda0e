"""Every error the product raises on purpose. The family decides what becomes of the message.

CmkflowError
├── TransientError       scheduled again, with back-off, up to a cap
│   ├── ThrottledError       the platform or our own budget says: later
│   ├── TokenRejected        the access token was refused, and so was a new one
│   ├── RefusedForNow        the platform said no, and accepts the same call later
│   └── ServiceUnavailable   no answer, or an answer of the 5xx kind
│       └── ServiceOutage        the service as a whole: waited for, however long
├── MustWait             scheduled for a time, however often
├── PlatformMigrationInProgress  the environment is being migrated: scheduled again until it is over
├── PermanentError       the row is blocked (a person can help) or failed (nobody can)
│   ├── JobBlocked           what a person must do, in words
│   ├── UnusableSetting      a setting of the app has a value that cannot be used
│   ├── InternalErrorRepeated  deliveries of the row crash again and again
│   └── PlatformError        the platform said no, with its code
├── NotFound             the platform or the store has no such item
│   ├── ProviderNotRegistered  nor can it have one: its provider is not registered there
│   ├── FlowNotFound         an order names a flow that is not there, and perhaps means another
│   └── IssueNotFound        an order names a gap that is not there
├── Conflict             somebody else changed the item: read again and decide again
│   ├── AlreadyExists        the item that was to be created is there
│   ├── PreconditionFailed   the item is not the one that the caller had seen
│   └── LeaseLost            another delivery, or an order, has taken the row over: leave it
└── InvalidInput         an input nobody can read: parked with this reason
    └── UnreadableRow        a row of the store that this version cannot read
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from shared.reason import Reason


class CmkflowError(Exception):
    """Something the product expects to go wrong went wrong."""

    def __init__(self, message: str | None = None) -> None:
        """Use `message`, or the first line of the class's docstring."""
        super().__init__(message or (self.__doc__ or "").strip().splitlines()[0])


class TransientError(CmkflowError):
    """The call failed in a way that a later try may not."""

    def __init__(self, message: str | None = None, *, retry_after: timedelta | None = None) -> None:
        """`retry_after` is the shortest wait the other side asked for, if it did."""
        super().__init__(message)
        self.retry_after = retry_after


class ThrottledError(TransientError):
    """The budget of calls for this period is used up."""


class TokenRejected(TransientError):
    """The service takes no access token, not even a new one."""

    def __init__(self, message: str, *, code: str) -> None:
        """`code` is the platform's, for the instruction should it last."""
        super().__init__(message)
        self.code = code


class RefusedForNow(TransientError):
    """The platform refused a call that it may accept later."""

    def __init__(self, message: str, *, code: str) -> None:
        """`code` is the platform's, for the instruction should it last."""
        super().__init__(message)
        self.code = code


class ServiceUnavailable(TransientError):
    """The service gave no answer, or said that it cannot answer now."""

    def __init__(
        self,
        message: str | None = None,
        *,
        retry_after: timedelta | None = None,
        of_object: bool = False,
    ) -> None:
        """`of_object`: the service did answer, and failed on what the call was about."""
        super().__init__(message, retry_after=retry_after)
        self.of_object = of_object


class ServiceOutage(ServiceUnavailable):
    """A service is out as a whole: `retry_after` says when it is tried again."""


class MustWait(CmkflowError):
    """The work has to wait for something that is not an error."""

    def __init__(
        self, reason: str, *, until: datetime, code: Reason, instruction: str = ""
    ) -> None:
        """`until` is when to look again (UTC); `code` groups what one event can end.

        `instruction`: what a person can do to end it sooner.
        """
        super().__init__(reason)
        self.instruction = instruction
        self.reason = reason
        self.until = until
        self.code = code


class PlatformMigrationInProgress(CmkflowError):
    """The environment is being migrated: flows cannot be created or changed meanwhile.

    The platform refused the write and did nothing. It is not a `PlatformError`: no step can find
    another way. It is not a `MustWait`: an adapter does not know when to try again.
    """

    def __init__(self, message: str, *, code: str, status: int) -> None:
        """`code` is the platform's, `status` the HTTP status."""
        super().__init__(f"{code}: {message}")
        self.code = code
        self.status = status


class PermanentError(CmkflowError):
    """Trying again would change nothing."""


class JobBlocked(PermanentError):
    """A person has to do something first."""

    def __init__(self, reason: str, *, code: str, instruction: str = "") -> None:
        """`code` is a `Reason`, or the platform's own; `instruction` says what to do next.

        It may be left to a `Reason` with one of its own.
        """
        super().__init__(reason)
        self.reason = reason
        self.instruction = instruction or (code.instruction if isinstance(code, Reason) else "")
        self.code = code


class UnusableSetting(PermanentError):
    """A setting has a value that cannot be used."""

    def __init__(self, reason: str, *, instruction: str) -> None:
        """`reason` names the setting and never its value; `instruction` says what to do next."""
        super().__init__(reason)
        self.reason = reason
        self.instruction = instruction


class InternalErrorRepeated(PermanentError):
    """Deliveries of a row ended in a defect, or without a word, too often in a row."""


class PlatformError(PermanentError):
    """The platform refused the call."""

    def __init__(self, message: str, *, code: str, status: int) -> None:
        """`code` is the platform's that says most, `status` the HTTP status.

        See platform.md#error-body.
        """
        super().__init__(f"{code}: {message}")
        self.code = code
        self.status = status
        self.detail = message


class NotFound(CmkflowError):
    """There is no such item."""


class ProviderNotRegistered(NotFound):
    """The subscription has no resource of this kind: its provider is not registered there."""


class FlowNotFound(NotFound):
    """An order names a flow that is not there."""

    def __init__(self, message: str, *, candidates: Mapping[str, str]) -> None:
        """`candidates` are those that are alike, the closest first: their names by id."""
        super().__init__(message)
        self.candidates = candidates


class IssueNotFound(NotFound):
    """An order names a gap that is not there."""

    def __init__(self, message: str, *, instruction: str) -> None:
        """`instruction` names those that are close, else all there are."""
        super().__init__(message)
        self.instruction = instruction


class Conflict(CmkflowError):
    """The item was changed by somebody else since it was read."""


class AlreadyExists(Conflict):
    """The item that was to be created exists."""


class PreconditionFailed(Conflict):
    """The item is not the one that the caller had seen."""


class LeaseLost(Conflict):
    """Another delivery, or an order, has taken the row over."""


class InvalidInput(CmkflowError):
    """The input cannot be read."""


class UnreadableRow(InvalidInput):
    """A row of the store cannot be read: a newer version of the app may have written it."""

    def __init__(self, row: tuple[str, str, str], *, reason: str, remedy: str) -> None:
        """`row` is table, partition and key; `reason` says which member is not as it should be.

        `remedy` says what to do with a row of this table.
        """
        self.row = row
        self.reason = reason
        self.instruction = f"Row {self.name}: {remedy}"
        super().__init__(f"The row {self.name} cannot be read: {reason}")

    @property
    def name(self) -> str:
        """Return the row's table, partition and key as one text."""
        return "/".join(self.row)
