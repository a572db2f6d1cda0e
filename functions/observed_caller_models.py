"""API models: who called originals after their known callers were updated."""

from datetime import datetime

from functions.http_responses import ApiResponse
from shared.domain.callers.call_headers import CallerSource


class ObservedCallerResponse(ApiResponse):
    """The calls to an original by one caller, recognized by their headers."""

    #: Such as `unknown caller: flow Orders`.
    label: str
    #: Whether the app found the caller or a person declared it.
    is_known: bool
    source: CallerSource
    #: What the caller claims to be, such as `curl/8.5 from 203.0.113.0/24`; empty: nothing, or its
    #: source is known.
    claims: str
    #: For the source `not_read` the least number.
    call_count: int
    first_at: datetime
    last_at: datetime


class CallersOfOriginalResponse(ApiResponse):
    """The callers that called one original after its known callers were updated."""

    environment_id: str
    original_id: str
    display_name: str
    #: Calls up to this time are counted.
    read_until: datetime
    #: Unknown callers first.
    callers: tuple[ObservedCallerResponse, ...]
