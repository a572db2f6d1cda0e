"""Send notifications to a webhook, signed as https://www.standardwebhooks.com describes.

The receiver computes HMAC-SHA256 over `id.timestamp.body` with the secret, and compares the result
with the signature.
"""

import base64
import hashlib
import hmac
import json

from shared.adapters.channels.event import LONGEST_ANSWER, build_cloud_event
from shared.adapters.http.client import HttpClient, HttpService, ServiceRequest
from shared.domain.plans.notification import Notification


class SignedWebhook:
    """The notification channel that posts signed CloudEvents to a webhook."""

    name = "webhook"

    def __init__(self, http: HttpClient, service: HttpService, url: str, key: bytes) -> None:
        self._http, self._service, self._url, self._key = http, service, url, key

    async def send(self, notification: Notification) -> None:
        content = json.dumps(build_cloud_event(notification)).encode()
        timestamp = f"{notification.created_at.timestamp():.0f}"
        signed = b".".join((notification.id.encode(), timestamp.encode(), content))
        digest = hmac.new(self._key, signed, hashlib.sha256).digest()
        headers = {
            "Content-Type": "application/cloudevents+json",
            "webhook-id": notification.id,
            "webhook-timestamp": timestamp,
            "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
        }
        call = ServiceRequest(
            method="POST",
            url=self._url,
            headers=headers,
            content=content,
            longest_answer=LONGEST_ANSWER,
        )
        await self._http.send(self._service, call)
