"""HTTP: how Microsoft's address ranges changed, and what that means here."""

from collections.abc import Sequence
from datetime import datetime

import azure.functions as func

from functions.http_answers import Answer, ItemList, answers, ok
from functions.http_requests import NoQuery, read_query
from shared.bootstrap import services
from shared.domain.network.edition import Edition
from shared.use_cases.watch_ranges import list_editions, look_now

blueprint = func.Blueprint()


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


@blueprint.route(route="network/ranges", methods=["GET"])
@answers
async def list_range_changes(req: func.HttpRequest) -> func.HttpResponse:
    """Return the editions of the last ninety days, the newest first. Reads rows only."""
    read_query(req, NoQuery)
    return _editions(await list_editions(services()))


@blueprint.route(route="network/ranges", methods=["POST"])
@answers
async def look_at_ranges(req: func.HttpRequest) -> func.HttpResponse:
    """Look at Microsoft's list at once, as the daily sweep does, and return the same."""
    read_query(req, NoQuery)
    return _editions(await look_now(services()))


def _editions(found: Sequence[Edition]) -> func.HttpResponse:
    items = tuple(EditionAnswer.model_validate(one) for one in found)
    return ok(ItemList[EditionAnswer](items=items))
