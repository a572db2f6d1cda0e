"""Let the SDK's own live tests run unmodified against the local Service Bus.

In Microsoft's repository, decorators create each test's queue through Azure Resource Manager, and
base classes come from packages that are not published. This module replaces both: it records each
queue when its test is decorated, and serves all of them when the tests are collected.
"""

import functools
import inspect
import socket
from collections.abc import Callable, Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.servicebus import ServiceBusClient
from azure.servicebus.aio import ServiceBusClient as AsyncServiceBusClient
from pydantic import TypeAdapter

from local_cloud.service_bus import LocalServiceBus
from local_cloud.service_bus.configuration import QueueSettings
from local_cloud.service_bus.local_service_bus import build_connection_string
from local_cloud.service_bus.server import HOST

Test = Callable[..., Any]


def _find_free_port() -> int:
    with socket.create_server((HOST, 0)) as server:
        return int(server.getsockname()[1])


PORT = _find_free_port()
#: The tests put it behind the name of a namespace.
SERVICEBUS_ENDPOINT_SUFFIX = f":{PORT}"
_queues: list[QueueSettings] = []


class AzureMgmtRecordedTestCase:
    """Replaces the base class of the SDK's tests."""

    @staticmethod
    def await_prepared_test(test: Test) -> Test:
        """Return the test unchanged, because pytest-asyncio runs it."""
        return test


AzureRecordedTestCase = AzureMgmtRecordedTestCase


class _Credential:
    def get_token(self, *scopes: str, **options: object) -> AccessToken:
        return AccessToken("token", 2**32)


class _AsyncCredential:
    async def get_token(self, *scopes: str, **options: object) -> AccessToken:
        return AccessToken("token", 2**32)


def get_credential(*, is_async: bool = False, **options: object) -> Any:
    """The local service accepts any token."""
    return _AsyncCredential() if is_async else _Credential()


class _Preparer:
    """A decorator that passes prepared resources to a test, as keyword arguments."""

    def __init__(self, *args: object, **options: Any) -> None:
        self._options = options

    def prepare_resources(self) -> dict[str, object]:
        return {}

    def __call__(self, test: Test) -> Test:
        try:
            resources = self.prepare_resources()
        except LookupError as error:
            return pytest.mark.skip(reason=str(error))(test)
        if inspect.iscoroutinefunction(test):

            @functools.wraps(test)
            async def run_prepared_async(*args: Any, **kwargs: Any) -> None:
                await test(*args, **kwargs, **resources)

            return run_prepared_async

        @functools.wraps(test)
        def run_prepared(*args: Any, **kwargs: Any) -> None:
            test(*args, **kwargs, **resources)

        return run_prepared


class ServiceBusResourceGroupPreparer(_Preparer):
    """Prepares nothing, because the local service has no resource groups."""


class ServiceBusNamespacePreparer(_Preparer):
    def prepare_resources(self) -> dict[str, object]:
        return {
            "servicebus_namespace": SimpleNamespace(name=HOST),
            "servicebus_namespace_connection_string": build_connection_string(PORT),
        }


class ServiceBusQueuePreparer(_Preparer):
    def prepare_resources(self) -> dict[str, object]:
        options = self._options
        if options.get("requires_session"):
            raise LookupError("sessions are not offered")
        settings = QueueSettings(
            name=f"queue-{len(_queues)}",
            lock_duration=TypeAdapter(timedelta).validate_python(
                options.get("lock_duration", "PT30S")
            ),
            duplicate_detection_window=timedelta(minutes=10)
            if options.get("requires_duplicate_detection")
            else None,
            dead_letters_expired_messages=bool(options.get("dead_lettering_on_message_expiration")),
        )
        _queues.append(settings)
        queue = SimpleNamespace(name=settings.name)
        return {options.get("parameter_name", "servicebus_queue"): queue}


class NotOfferedPreparer(_Preparer):
    """Skips tests that need topics, subscriptions or authorization rules."""

    def prepare_resources(self) -> dict[str, object]:
        raise LookupError("topics and authorization rules are not offered")


CachedServiceBusResourceGroupPreparer = ServiceBusResourceGroupPreparer
RandomNameResourceGroupPreparer = ServiceBusResourceGroupPreparer
CachedServiceBusNamespacePreparer = ServiceBusNamespacePreparer
CachedServiceBusQueuePreparer = ServiceBusQueuePreparer
ServiceBusTopicPreparer = ServiceBusSubscriptionPreparer = NotOfferedPreparer
CachedServiceBusTopicPreparer = CachedServiceBusSubscriptionPreparer = NotOfferedPreparer
ServiceBusNamespaceAuthorizationRulePreparer = NotOfferedPreparer
ServiceBusQueueAuthorizationRulePreparer = NotOfferedPreparer


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers of the tests, and make their clients use plain TCP."""
    for marker in ("liveTest", "live_test_only", "playback_test_only"):
        config.addinivalue_line("markers", f"{marker}: as in Microsoft's repository")
    for client in (ServiceBusClient, AsyncServiceBusClient):
        client.__init__ = functools.partialmethod(client.__init__, use_tls=False)  # type: ignore[method-assign,assignment]


@pytest.fixture(scope="session", autouse=True)
def bus() -> Iterator[LocalServiceBus]:
    with LocalServiceBus(_queues, port=PORT) as bus:
        yield bus
