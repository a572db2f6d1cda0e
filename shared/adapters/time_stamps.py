"""Request time stamps over HTTP (RFC 3161, 3.4)."""

from shared.adapters.http.client import HttpClient, HttpService, ServiceRequest
from shared.errors import PlatformError
from shared.ports import TimeStamps

#: A token has a few certificates, of 2 KB each.
_LONGEST_ANSWER = 64 * 1024
_HEADERS = {
    "Content-Type": "application/timestamp-query",
    "Accept": "application/timestamp-reply",
    "Accept-Encoding": "identity",
}


class TimeStampAuthorities(TimeStamps):
    """Implements the port `TimeStamps` with any authority that needs no sign-in."""

    def __init__(self, http: HttpClient) -> None:
        # Evidence does without a time stamp, so no circuit breaker is necessary.
        self._http = http.without_circuit_breakers()
        self._service = HttpService(name="Time stamp authority", scope="", credential=None)

    async def stamp(self, authority: str, content: bytes) -> bytes:
        from shared.time_stamps import build_time_stamp_query, require_granted_time_stamp

        query = build_time_stamp_query(content)
        call = ServiceRequest(
            method="POST",
            url=authority,
            headers=_HEADERS,
            content=query.as_bytes(),
            is_repeatable=True,
            longest_answer=_LONGEST_ANSWER,
        )
        answer = await self._http.send(self._service, call)
        try:
            require_granted_time_stamp(answer.body, query)
        except ValueError as err:
            message = f"{self._service.name}: {err}"
            raise PlatformError(message, code="BadTimeStamp", status=502) from None
        return answer.body
