"""HTTP: how Microsoft's address ranges changed, and what that means here."""

from collections.abc import Sequence
from datetime import datetime

from functions.endpoints import Call, endpoint
from functions.http_requests import NoBody, NoQuery
from functions.http_responses import Answer, ItemList
from shared.bootstrap import services
from shared.domain.network.service_tag_list_version import Edition
from shared.domain.principal import Role
from shared.use_cases.audit_state import ranges_state
from shared.use_cases.check_address_ranges import list_editions, look_now


class RangeChangeAnswer(Answer):
    """What a tag has more and less in one region."""

    tag: str
    region: str
    added: tuple[str, ...]
    removed: tuple[str, ...]


class ClosedFirewallAnswer(Answer):
    """A firewall that does not let in what was added."""

    #: What it is waived by.
    gap: str
    name: str
    missing: tuple[str, ...]


class TouchedPlanAnswer(Answer):
    """A remediation with flows that call through such a firewall."""

    remediation_id: str
    flows: int


class EditionAnswer(Answer):
    """One edition of Microsoft's list of service tags."""

    change_number: int
    #: The edition before; None: this was the first that was seen.
    before: int | None
    seen: datetime
    looked: datetime
    changes: tuple[RangeChangeAnswer, ...]
    firewalls: tuple[ClosedFirewallAnswer, ...]
    plans: tuple[TouchedPlanAnswer, ...]
    #: Empty: nothing of it is open.
    code: str


@endpoint(role=Role.READER, answer=ItemList[EditionAnswer])
async def list_range_changes(_call: Call[NoQuery, NoBody]) -> ItemList[EditionAnswer]:
    """Return the editions of the last ninety days, the newest first. Reads rows only."""
    return _editions(await list_editions(services()))


@endpoint(
    role=Role.OPERATOR,
    answer=ItemList[EditionAnswer],
    subject=ranges_state,
)
async def look_at_ranges(_call: Call[NoQuery, NoBody]) -> ItemList[EditionAnswer]:
    """Look at Microsoft's list at once, as the daily sweep does, and return the same."""
    return _editions(await look_now(services()))


def _editions(found: Sequence[Edition]) -> ItemList[EditionAnswer]:
    items = tuple(EditionAnswer.model_validate(one) for one in found)
    return ItemList[EditionAnswer](items=items)
