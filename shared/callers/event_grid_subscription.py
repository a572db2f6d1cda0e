"""Read and write event subscriptions of Event Grid as callers: the URL of a webhook.

A GET of an event subscription returns only a part of the URL; the action `getFullUrl` returns all
of it. See platform.md#event-subscriptions.
"""

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from datetime import timedelta
from typing import override

from shared.callers.search import (
    SearchedCallers,
    UnreadableCallers,
    build_manual_caller_error,
    find_callers_in_text,
    get_id,
)
from shared.domain.callers.caller import Caller, CallerContent
from shared.domain.callers.unchanged_content import hash_texts
from shared.domain.definitions.json_values import mapping_at, objects_at, text_at
from shared.domain.environment import Environment
from shared.domain.permissions import RequiredPermissions
from shared.errors import Conflict, JobBlocked, NotFound, PlatformError, TransientError
from shared.ports import ResourceReader, ResourceSecrets, ResourceWriter
from shared.read_only_locks import ReadOnlyLocks
from shared.reason import Reason

_VERSION = "2025-02-15"
_SUBSCRIPTIONS = "Microsoft.EventGrid/eventSubscriptions"
#: What has event subscriptions, beside subscriptions and resource groups.
_TOPICS = (
    "Microsoft.EventGrid/domains",
    "Microsoft.EventGrid/partnerTopics",
    "Microsoft.EventGrid/systemTopics",
    "Microsoft.EventGrid/topics",
)
_WITH_SUBSCRIPTIONS = (
    "domains/",
    "domains/topics/",
    "",
    "partnerTopics/",
    "systemTopics/",
    "topics/",
)
#: Granted by infra/modules/caller-group.bicep.
_NEEDS = RequiredPermissions(
    role="event subscriptions",
    role_purpose="Finds and replaces trigger URLs in event subscriptions of Event "
    "Grid. Deletes nothing.",
    fix="Add its resource group to CMK_CALLER_RESOURCE_GROUP_IDS and deploy again.",
    resource_type="Microsoft.EventGrid/topics",
    api_version=_VERSION,
    actions=tuple(
        f"Microsoft.EventGrid/{parent}eventSubscriptions/{action}"
        for parent in _WITH_SUBSCRIPTIONS
        for action in ("getFullUrl/action", "read", "write")
    ),
)
_HEADERS = "deliveryAttributeMappings"  # avoid-ok: API name
_SCHEMA = "eventDeliverySchema"  # avoid-ok: API name
_WITH_IDENTITY = "deliveryWithResourceIdentity"  # avoid-ok: API name
_CLOUD_EVENTS = (
    "Its events have the CloudEvents schema. Event Grid validates such a URL by OPTIONS, which a "
    "flow cannot answer. Create a subscription with the Event Grid schema for the copy, or let a "
    "function call the copy."
)
_IDENTITY = "It delivers with a managed identity. Change its URL yourself."
_HIDDEN = (
    "It sends a secret header that Azure does not return, and a write by the app would remove it. "
    "Change its URL yourself."
)


class EventGridSubscriptionCallers(SearchedCallers):
    """The caller kind of Event Grid subscriptions.

    A caller's address is a resource id. Its content is the destination of the subscription, as
    JSON.
    """

    kind = "event_grid_subscription"
    is_json = True
    #: The next event goes to the new URL. The period without calls covers repeated events.
    old_value_lifetime = timedelta(0)
    required_permissions = _NEEDS

    def __init__(
        self,
        resources: ResourceReader,
        resource_secrets: ResourceSecrets,
        resource_writer: ResourceWriter,
    ) -> None:
        self._reader = resources
        self._secrets = resource_secrets
        self._writer = resource_writer

    @override
    async def find_callers(
        self, environments: Sequence[Environment], unreadable: UnreadableCallers
    ) -> AsyncGenerator[Caller]:
        found = await self._list_webhooks(unreadable)
        locks = ReadOnlyLocks({})
        if found:
            locks = await unreadable.read_locks(self._reader, "read-only locks")
        readings = unreadable.read_readable_places(
            found, get_id, self._read_destination, _format_label
        )
        async with aclosing(readings):
            async for resource, text in readings:
                locked = locks.explain_lock_removal(get_id(resource))
                for caller in find_callers_in_text(text, _build_caller(resource, locked)):
                    yield caller

    async def read(self, caller: Caller) -> CallerContent:
        text = await self._read_destination(await self._get_subscription(caller))
        return CallerContent(text=text, etag=hash_texts(text))

    async def write(self, caller: Caller, value: CallerContent) -> None:
        """Replace the destination if it is unchanged since the read. Event Grid validates its URL.

        Raises `TransientError` while Azure applies a change, and `JobBlocked` if the flow has not
        answered the validation, or only a person can change the subscription.
        """
        before = await self._get_applied_subscription(caller)
        text = await self._read_destination(before)
        if text == value.text and _get_provisioning_state(before) != "Failed":
            return
        if value.etag not in {"", hash_texts(text)}:
            raise Conflict(f"The {caller.label} was changed")
        if reason := _find_manual_reason(before):  # it may have changed since the search
            raise build_manual_caller_error(caller, reason)
        destination = {"endpointType": "WebHook", "properties": json.loads(value.text)}
        await self._writer.patch(caller.address, _VERSION, {"destination": destination})
        await self._get_applied_subscription(caller)

    async def _get_applied_subscription(self, caller: Caller) -> Mapping[str, object]:
        resource = await self._get_subscription(caller)
        state = _get_provisioning_state(resource)
        if state in {"Creating", "Updating"}:
            raise TransientError(
                f"Azure is applying a change to the {caller.label}",
                retry_after=timedelta(seconds=15),
            )
        if state == "AwaitingManualAction":
            raise JobBlocked(
                f"The {caller.label} awaits the validation of its URL.",
                fix=(
                    "Open the validationUrl in the run that Event Grid started within ten minutes. "
                    "Then retry."
                ),
                code=Reason.MANUAL_CALLER,
            )
        return resource

    async def _get_subscription(self, caller: Caller) -> Mapping[str, object]:
        return await self._reader.get(caller.address, _VERSION)

    async def _read_destination(self, resource: Mapping[str, object]) -> str:
        """Return the webhook with its complete URL, as JSON with sorted names."""
        shown = mapping_at(_find_destination(resource), "properties")
        found = await self._secrets.read(get_id(resource), "getFullUrl", _VERSION)
        kept = {name: value for name, value in shown.items() if name != "endpointBaseUrl"}
        return json.dumps({**kept, "endpointUrl": text_at(found, "endpointUrl")}, sort_keys=True)

    async def _list_webhooks(self, unreadable: UnreadableCallers) -> list[Mapping[str, object]]:
        what = "event subscriptions of subscriptions and resource groups"
        found = [*await unreadable.list_readable(self._reader.list(_SUBSCRIPTIONS, _VERSION), what)]
        for resource_type in _TOPICS:
            listing = self._reader.list(resource_type, _VERSION)
            for topic in await unreadable.list_readable(listing, resource_type):
                found += await self._list_subscriptions_of_topic(topic, resource_type, unreadable)
        unique = {get_id(one).lower(): one for one in found}
        return [
            one
            for one in unique.values()
            if text_at(_find_destination(one), "endpointType") == "WebHook"
        ]

    async def _list_subscriptions_of_topic(
        self, topic: Mapping[str, object], resource_type: str, unreadable: UnreadableCallers
    ) -> list[Mapping[str, object]]:
        found: list[Mapping[str, object]] = []
        parents = [get_id(topic)]
        try:
            if resource_type.endswith("/domains"):
                below = await self._reader.list_children(parents[0], "topics", _VERSION)
                parents += [get_id(one) for one in below]
            for parent in parents:
                found += await self._reader.list_children(parent, "eventSubscriptions", _VERSION)
        except NotFound:
            pass  # deleted after it was listed
        except PlatformError as err:
            unreadable.record_place(f"event subscriptions of {text_at(topic, 'name')}", err)
        return found


def _format_label(subscription: Mapping[str, object]) -> str:
    return f"URL of the event subscription {text_at(subscription, 'name')}"


def _get_provisioning_state(resource: Mapping[str, object]) -> str | None:
    return text_at(mapping_at(resource, "properties"), "provisioningState")


def _find_destination(resource: Mapping[str, object]) -> Mapping[str, object]:
    properties = mapping_at(resource, "properties")
    with_identity = mapping_at(properties, _WITH_IDENTITY, "destination")
    return mapping_at(properties, "destination") or with_identity


def _build_caller(resource: Mapping[str, object], locked: str) -> Caller:
    reason = _find_manual_reason(resource) or locked
    return Caller(
        kind=EventGridSubscriptionCallers.kind,
        address=get_id(resource),
        label=f"event subscription {text_at(resource, 'name')}",
        resource_id=f"{EventGridSubscriptionCallers.kind}/{get_id(resource)}".lower(),
        manual_reason=reason,
        is_validated_by_event_grid=not reason,
    )


def _find_manual_reason(resource: Mapping[str, object]) -> str:
    properties = mapping_at(resource, "properties")
    if text_at(properties, _SCHEMA) == "CloudEventSchemaV1_0":
        return _CLOUD_EVENTS
    if not mapping_at(properties, "destination"):
        return _IDENTITY
    headers = objects_at(mapping_at(_find_destination(resource), "properties"), _HEADERS)
    is_hidden = any(mapping_at(one, "properties").get("isSecret") for one in headers)
    return _HIDDEN if is_hidden else ""
