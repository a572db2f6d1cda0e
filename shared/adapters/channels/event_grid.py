"""Send notifications to an Event Grid custom topic.

The topic must accept CloudEvents 1.0 (`--input-schema cloudeventschemav1_0`), and the app's
identity needs the role *EventGrid Data Sender*.
"""

from shared.adapters.channels.event import LONGEST_ANSWER, build_cloud_event
from shared.adapters.http.client import HttpClient, HttpService, ServiceRequest
from shared.domain.plans.notification import Notification

SCOPE = "https://eventgrid.azure.net/.default"
#: Domain of all topics: the app's token is sent to no other host.
DOMAIN = "eventgrid.azure.net"
_VERSION = "2018-01-01"


class EventGridTopic:
    """The notification channel that publishes to an Event Grid topic."""

    name = "event_grid"

    def __init__(self, http: HttpClient, service: HttpService, endpoint: str) -> None:
        """`endpoint` is `https://NAME.REGION-1.eventgrid.azure.net/api/events`."""
        self._http, self._service, self._endpoint = http, service, endpoint

    async def send(self, notification: Notification) -> None:
        await self._http.send(
            self._service,
            ServiceRequest(
                method="POST",
                url=self._endpoint,
                params={"api-version": _VERSION},
                headers={"Content-Type": "application/cloudevents-batch+json; charset=utf-8"},
                body=[build_cloud_event(notification)],
                longest_answer=LONGEST_ANSWER,
            ),
        )
