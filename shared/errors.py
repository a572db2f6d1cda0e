"""Define all expected errors. The class determines what happens to the message.

CmkflowError
├── TransientError       retried with back-off, up to a limit
│   ├── ThrottledError       the platform or the app's own budget allows no request now
│   ├── RefusedForNow        the platform rejected a request that it may accept later
│   │   └── TokenRejected        the service rejected the access token, and also a new one
│   └── ServiceUnavailable   no response, or a 5xx response
│       ├── EnvironmentDisabled  the platform rejects all requests for the environment
│       └── ServiceOutage        the whole service: the job waits without limit
│           └── StorageKeyUnusable   the app's own storage account cannot use its key
├── MustWait             waits for a time, any number of times
├── PlatformMigrationInProgress  the platform is migrating the environment: waits until it completes
├── PermanentError       the job is blocked (an action is required) or failed
│   ├── JobBlocked           with the required action
│   ├── UnusableSetting      a setting of the app is invalid
│   ├── LinkRejected         a confirmation link is not valid, or confirms nothing
│   ├── InternalErrorRepeated  invocations for the row crash repeatedly
│   └── PlatformError        the platform rejected the request, with its code
│       └── SubscriptionsUnread  the read of some watched subscriptions, not of the others
├── NotFound             the item does not exist on the platform or in the store
│   ├── ProviderNotRegistered  its resource provider is not registered
│   ├── TableNotFound        the environment has no such Dataverse table
│   ├── FlowNotFound         a request names a flow that does not exist
│   ├── IssueNotFound        a request names a firewall issue that does not exist
│   └── DeclaredCallerNotFound  a request names a caller that is not declared
├── Conflict             the item was changed: read and decide again
│   ├── AlreadyExists        the item to create already exists
│   ├── PreconditionFailed   the item is not the expected version
│   └── LeaseLost            another invocation or a request has taken over the row
└── InvalidInput         invalid input: becomes a poison message with this reason
    └── UnreadableRow        this version cannot read the row
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from shared.reason import Reason

#: A storage account that has lost its key is asked again after this time.
_KEY_CHECKED_EVERY = timedelta(minutes=5)


class CmkflowError(Exception):
    """An expected error."""

    def __init__(self, message: str | None = None) -> None:
        """`message` is the text of the error; by default, the first line of the class's
        docstring.
        """
        super().__init__(message or (self.__doc__ or "").strip().splitlines()[0])


class TransientError(CmkflowError):
    """The request failed, but a retry may succeed."""

    def __init__(self, message: str | None = None, *, retry_after: timedelta | None = None) -> None:
        """`retry_after` is the shortest wait, if the service named one."""
        super().__init__(message)
        self.retry_after = retry_after


class ThrottledError(TransientError):
    """The request budget for this period is exhausted."""


class RefusedForNow(TransientError):
    """The platform rejected a request that it may accept later."""

    def __init__(self, message: str, *, code: str) -> None:
        """`code` is the platform's code. It determines the fix if the error persists."""
        super().__init__(message)
        self.code = code


class TokenRejected(RefusedForNow):
    """The service rejected the access token, and also a new one."""


class ServiceUnavailable(TransientError):
    """The service did not respond, or is temporarily unavailable."""

    def __init__(
        self,
        message: str | None = None,
        *,
        retry_after: timedelta | None = None,
        of_object: bool = False,
    ) -> None:
        """`of_object` is True if the service responded, but failed on the object that the request
        was about.
        """
        super().__init__(message, retry_after=retry_after)
        self.of_object = of_object


class EnvironmentDisabled(ServiceUnavailable):
    """The platform has disabled the environment, as it does when its key cannot be used."""


class ServiceOutage(ServiceUnavailable):
    """A service is not available.

    `retry_after` is the time until the next try.
    """

    def __init__(
        self,
        message: str | None = None,
        *,
        retry_after: timedelta | None = None,
        code: Reason = Reason.SERVICE_OUTAGE,
        duration: timedelta = timedelta(0),
    ) -> None:
        """`code` is the reason, and `duration` is how long the service has not been available."""
        super().__init__(message, retry_after=retry_after)
        self.code = code
        self.duration = duration


class StorageKeyUnusable(ServiceOutage):
    """The app's storage account cannot use the customer-managed key that encrypts it."""

    def __init__(self, detail: str) -> None:
        """`detail` is the error code in the storage account's response."""
        reason = Reason.STORAGE_KEY_UNUSABLE
        super().__init__(
            f"{reason.meaning} It answers {detail}.", retry_after=_KEY_CHECKED_EVERY, code=reason
        )


class MustWait(CmkflowError):
    """The job must wait for something that is not an error."""

    def __init__(self, reason: str, *, until: datetime, code: Reason, fix: str = "") -> None:
        """`until` is the time of the next check (UTC); `code` groups waits that one event ends.

        `fix` says how to end the wait sooner.
        """
        super().__init__(reason)
        self.fix = fix
        self.reason = reason
        self.until = until
        self.code = code


class PlatformMigrationInProgress(CmkflowError):
    """The platform is migrating the environment: flows cannot be created or changed now.

    The platform rejected the write and did nothing. This is no `PlatformError`, because no step has
    an alternative to waiting, and no `MustWait`, because an adapter does not know when to retry.
    """

    def __init__(self, message: str, *, code: str, status: int) -> None:
        """`code` is the platform's code and `status` the HTTP status."""
        super().__init__(f"{code}: {message}")
        self.code = code
        self.status = status


class PermanentError(CmkflowError):
    """A retry would not help."""


class JobBlocked(PermanentError):
    """An action is required first."""

    def __init__(self, reason: str, *, code: str, fix: str = "") -> None:
        """`code` is a `Reason` or the platform's code. `fix` says what to do.

        Omit `fix` for a `Reason` that has its own.
        """
        super().__init__(reason)
        self.reason = reason
        self.fix = fix or (code.fix if isinstance(code, Reason) else "")
        self.code = code


class UnusableSetting(PermanentError):
    """A setting has an invalid value."""

    def __init__(self, reason: str, *, fix: str) -> None:
        """`reason` names the setting, never its value. `fix` says what to do."""
        super().__init__(reason)
        self.reason = reason
        self.fix = fix


class InternalErrorRepeated(PermanentError):
    """Invocations for a row repeatedly ended in an internal error or without a stored result."""


class PlatformError(PermanentError):
    """The platform rejected the request."""

    def __init__(self, message: str, *, code: str, status: int) -> None:
        """`code` is the platform's most specific code and `status` the HTTP status.

        See platform.md#error-body.
        """
        super().__init__(f"{code}: {message}")
        self.code = code
        self.status = status
        self.detail = message


class SubscriptionsUnread(PlatformError):
    """Azure rejected the read of some or all watched subscriptions."""

    def __init__(
        self, message: str, *, code: str, status: int, subscriptions: str, is_all: bool
    ) -> None:
        """`subscriptions` contains the ids of the subscriptions that were not read. `is_all` is
        True if none was read.
        """
        super().__init__(message, code=code, status=status)
        self.subscriptions = subscriptions
        self.is_all = is_all
        #: What was read of the others.
        self.found: Sequence[Any] = ()


class NotFound(CmkflowError):
    """Not found."""


class ProviderNotRegistered(NotFound):
    """The subscription has no such resources: its provider is not registered there."""


class TableNotFound(NotFound):
    """The environment has no such Dataverse table."""


class FlowNotFound(NotFound):
    """A request names a flow that does not exist."""

    def __init__(self, message: str, *, candidates: Mapping[str, str]) -> None:
        """`candidates` contains the names of similar flows by id, the most similar first."""
        super().__init__(message)
        self.candidates = candidates


class IssueNotFound(NotFound):
    """A request names a firewall issue that does not exist."""

    def __init__(self, message: str, *, fix: str) -> None:
        """`fix` lists the similar issues, or else all of them."""
        super().__init__(message)
        self.fix = fix


class DeclaredCallerNotFound(NotFound):
    """A request names a caller that is not declared."""


class LinkRejected(PermanentError):
    """A confirmation link is not valid, or there is nothing that it can confirm."""

    def __init__(self, message: str, *, fix: str) -> None:
        """`fix` says what the holder of the link can do instead."""
        super().__init__(message)
        self.fix = fix


class Conflict(CmkflowError):
    """The item was changed since it was read."""


class AlreadyExists(Conflict):
    """The item to create already exists."""


class PreconditionFailed(Conflict):
    """The item is not the expected version."""


class LeaseLost(Conflict):
    """Another invocation or a request has taken over the row."""


class InvalidInput(CmkflowError):
    """The input is invalid."""


class UnreadableRow(InvalidInput):
    """A stored row is unreadable: a newer version of the app may have written it."""

    def __init__(self, row: tuple[str, str, str], *, message: str, remedy: str) -> None:
        """`row` is table, partition and key; `message` names the invalid field.

        `remedy` is the fix for rows of this table.
        """
        self.row = row
        self.message = message
        self.fix = f"Row {self.name}: {remedy}"
        super().__init__(f"Cannot read row {self.name}: {message}")

    @property
    def name(self) -> str:
        """Return table, partition and key as one text."""
        return "/".join(self.row)
