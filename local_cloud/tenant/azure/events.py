"""Publish the events about keys and policies that Event Grid sends to the app's queues.

See platform.md#key-events, #resource-events.
"""

import json
import secrets
import uuid
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from local_cloud.tenant.azure.resources import JsonObject
from local_cloud.tenant.azure.state import Azure, EpochForm, EventSchema
from local_cloud.tenant.azure.vault_contents import (
    SimulatedKeyVersion,
    VaultContents,
    convert_to_epoch,
)
from local_cloud.tenant.core.clock import format_time
from local_cloud.tenant.core.tenant import SimulatedQueueMessage, Tenant
from local_cloud.tenant.entra.directory import Directory


class KeyEvent(StrEnum):
    NEW_VERSION = "Microsoft.KeyVault.KeyNewVersionCreated"
    NEAR_EXPIRY = "Microsoft.KeyVault.KeyNearExpiry"
    EXPIRED = "Microsoft.KeyVault.KeyExpired"


class PolicyOperation(StrEnum):
    """The last part of the operation in Resource Manager's event about a policy."""

    WRITE = "write"
    DELETE = "delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyEventPayload:
    kind: KeyEvent
    vault: VaultContents
    key_name: str
    version: SimulatedKeyVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyEventPayload:
    policy: JsonObject
    operation: PolicyOperation
    #: HTTP method and URL of the request.
    method: str
    url: str
    #: Who asked for it.
    object_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Event:
    """An event before it is written in one of the two schemas of Event Grid."""

    source: str
    subject: str
    type: str
    data: dict[str, Any]
    data_version: str
    queue: str


async def publish_key_event(tenant: Tenant, news: KeyEventPayload) -> None:
    settings = tenant.get_part(Azure).events
    vault, key_name, version = news.vault, news.key_name, news.version
    blank = " " if settings.has_stray_blanks else ""
    data = {
        "Id": f"https://{vault.name}.vault.azure.net/keys/{key_name}/{version.version}",
        "VaultName": vault.name,
        "ObjectType": "Key",
        f"ObjectName{blank}": key_name,
        "Version": f"{blank}{version.version}",
        "NBF": _format_epoch(version.attributes.not_before, settings.epoch_form),
        "EXP": _format_epoch(version.attributes.expires, settings.epoch_form),
    }
    event = _Event(
        source=vault.resource_id,
        subject=key_name,
        type=news.kind,
        data=data,
        data_version="1",
        queue=settings.key_queue,
    )
    await _publish_event(tenant, event)


async def publish_policy_event(tenant: Tenant, change: PolicyEventPayload) -> None:
    resource_id = change.policy["id"]
    operation = f"Microsoft.PowerPlatform/enterprisePolicies/{change.operation}"
    tenant_id = tenant.get_part(Directory).tenant_id
    subscription = resource_id.split("/")[2]
    data = {
        "authorization": {
            "scope": resource_id,
            "action": operation,
            "evidence": {"role": "Contributor"},
        },
        "claims": {
            "aud": "https://management.core.windows.net/",
            "http://schemas.microsoft.com/identity/claims/objectidentifier": change.object_id,
            "http://schemas.microsoft.com/identity/claims/tenantid": tenant_id,
            "ver": "1.0",
        },
        "correlationId": str(uuid.uuid4()),
        "httpRequest": {
            "clientRequestId": str(uuid.uuid4()),
            "clientIpAddress": "127.0.0.1",
            "method": change.method,
            "url": change.url,
        },
        "resourceProvider": "Microsoft.PowerPlatform",
        "resourceUri": resource_id,
        "operationName": operation,
        "status": "Succeeded",
        "subscriptionId": subscription,
        "tenantId": tenant_id,
    }
    event = _Event(
        source=f"/subscriptions/{subscription}",
        subject=resource_id,
        type=f"Microsoft.Resources.Resource{change.operation.title()}Success",
        data=data,
        data_version="2",
        queue=tenant.get_part(Azure).events.policy_queue,
    )
    await _publish_event(tenant, event)


async def _publish_event(tenant: Tenant, event: _Event) -> None:
    settings = tenant.get_part(Azure).events
    event_id = str(uuid.uuid4())
    envelope = _ENVELOPES[settings.schema](event, event_id, format_time(tenant.clock.now()))
    is_cloud_event = settings.schema is EventSchema.CLOUD_EVENTS
    message = SimulatedQueueMessage(
        queue=event.queue,
        body=json.dumps(envelope),
        content_type="application/cloudevents+json" if is_cloud_event else "application/json",
        # Event Grid keeps it across redelivery, so that duplicate detection works
        # (platform.md#event-redelivery).
        message_id=secrets.token_hex(16),
        properties={
            "aeg-subscription-name": event.queue.upper(),
            "aeg-delivery-count": "0",
            "aeg-event-type": "Notification",
            "aeg-metadata-version": "1.0" if is_cloud_event else "1",
            "aeg-data-version": event.data_version,
            "aeg-output-event-id": event_id,
        },
    )
    for _ in range(settings.copies):
        await tenant.events(message)


def _build_event_grid_event(event: _Event, event_id: str, time: str) -> dict[str, Any]:
    return {
        "id": event_id,
        "topic": event.source,
        "subject": event.subject,
        "eventType": event.type,
        "eventTime": time,
        "data": event.data,
        "dataVersion": event.data_version,
        "metadataVersion": "1",
    }


def _build_cloud_event(event: _Event, event_id: str, time: str) -> dict[str, Any]:
    return {
        "id": event_id,
        "source": event.source,
        "specversion": "1.0",
        "type": event.type,
        "subject": event.subject,
        "time": time,
        "data": event.data,
    }


_ENVELOPES = {
    EventSchema.EVENT_GRID: _build_event_grid_event,
    EventSchema.CLOUD_EVENTS: _build_cloud_event,
}


def _format_epoch(moment: datetime | None, form: EpochForm) -> int | str | None:
    if moment is None:
        return None
    seconds = convert_to_epoch(moment)
    return str(seconds) if form is EpochForm.STRING else seconds
