"""Find out before the cutover whether Azure Policy denies the change of a caller."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from shared.concurrency import read_each
from shared.domain.assessment.snapshots import NoAnswer
from shared.domain.callers.caller import Caller
from shared.domain.callers.caller_records import CallerIndexEntry
from shared.domain.definitions.json_values import as_mapping
from shared.domain.jobs.flow_job import MigrationMethod
from shared.domain.permissions import find_type_replaced_by_write, get_resource_type
from shared.domain.plans.plan_item import PlanItem
from shared.domain.trigger_urls.trigger_url import redact
from shared.services import Services
from shared.steps.optional_read import read_or_no_answer

#: By address of a caller that the app writes into an Azure resource: what a person has to do
#: because Azure Policy denies that; empty: nothing. None: it was not checked.
type PolicyDenials = Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class _Written:
    """The Azure resource that a caller's change writes. `written_type` may be the type of its
    child.
    """

    resource_id: str
    written_type: str
    api_version: str


async def find_policy_denials(
    services: Services,
    items: Iterable[PlanItem],
    places: Mapping[str, Sequence[CallerIndexEntry]],
) -> PolicyDenials:
    """Return why Azure Policy denies the change of a caller, by the caller's address.

    The reason is "" if no policy denies the change, and None if that is unknown. Each resource is
    checked once. `places` are index entries by the ids that callers hold.
    """
    resources: dict[str, _Written] = {}
    for item in items:
        if item.action.is_copy and item.migration_method is MigrationMethod.UPDATE_CALLERS:
            for place in places.get(item.trigger_url_id, ()):
                if written := _find_resource_to_write(services, place.caller):
                    resources[place.caller.address] = written
    distinct = [*dict.fromkeys(resources.values())]
    answers = await read_each(
        distinct, lambda one: read_or_no_answer(_find_denying_assignments(services, one))
    )
    found = dict(zip(distinct, map(_explain_denial, answers), strict=True))
    return {address: found[written] for address, written in resources.items()}


def _find_resource_to_write(services: Services, caller: Caller) -> _Written | None:
    resource_id = caller.address.partition("|")[0]
    kind = services.callers.get(caller.kind)  # None: only another version of the app knows it
    if kind is None or caller.manual_reason or not resource_id.startswith("/subscriptions/"):
        return None
    needs = kind.required_permissions
    written_type = find_type_replaced_by_write(needs, get_resource_type(resource_id))
    return _Written(resource_id, written_type, needs.api_version) if written_type else None


async def _find_denying_assignments(services: Services, written: _Written) -> Sequence[str]:
    resource_id, version = written.resource_id, written.api_version
    content: dict[str, object] = {}
    if written.written_type.lower() == get_resource_type(resource_id).lower():
        found = await services.assessment.resources.get(resource_id, version)
        content |= as_mapping(json.loads(redact(json.dumps(found))))
    content["type"] = written.written_type
    return await services.policy_restrictions.find_denying_assignments(
        resource_id, content, version
    )


def _explain_denial(answer: Sequence[str] | NoAnswer) -> str | None:
    if isinstance(answer, NoAnswer):
        return None
    if not answer:
        return ""
    return (
        f"The policy {', '.join(answer)} denies every change of this resource. Exempt it and plan "
        "again, or change the URL yourself."
    )
