"""Tells people through an Event Grid custom topic: what hangs there is the administrator's choice.

Logic Apps, functions, webhooks and queues subscribe to it. The topic takes CloudEvents 1.0
(`--input-schema cloudeventschemav1_0`) from the app's identity (*EventGrid Data Sender*).
"""

from shared.adapters.channels.event import LONGEST_ANSWER, cloud_event
from shared.adapters.http.client import HttpClient, HttpService, ServiceRequest
from shared.domain.plans.notification import Notification

SCOPE = "https://eventgrid.azure.net/.default"
#: Of every topic's address: the app's token goes nowhere else.
DOMAIN = "eventgrid.azure.net"
_VERSION = "2018-01-01"


class EventGridTopic:
    """One topic."""

    name = "event_grid"

    def __init__(self, http: HttpClient, service: HttpService, endpoint: str) -> None:
        """`endpoint`: the topic's, `https://NAME.REGION-1.eventgrid.azure.net/api/events`."""
        self._http, self._service, self._endpoint = http, service, endpoint

    async def send(self, notification: Notification) -> None:
        """Publish it as one CloudEvent."""
        await self._http.send(
            self._service,
            ServiceRequest(
                method="POST",
                url=self._endpoint,
                params={"api-version": _VERSION},
                headers={"Content-Type": "application/cloudevents-batch+json; charset=utf-8"},
                body=[cloud_event(notification)],
                longest_answer=LONGEST_ANSWER,
            ),
        )
