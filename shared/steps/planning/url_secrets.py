"""Propose a URL secret for each flow whose callers can refer to one (ADR 25)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from shared.domain.callers.caller import Caller
from shared.domain.callers.caller_records import CallerIndexEntry
from shared.domain.callers.url_secret import build_url_secret_address, is_url_secret
from shared.domain.environment import UrlSecretUse
from shared.domain.jobs.flow_job import MigrationMethod
from shared.domain.plans.plan_item import PlanItem
from shared.ports import HasUnknownReaders, RefersToSecrets
from shared.services import Services
from shared.steps.updating_callers.refer_to_secret import find_reading_obstacles
from shared.steps.write_permission import read_environment_settings


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposedSecret:
    """The URL secret that is proposed for a flow."""

    address: str
    #: What the environment's settings say.
    default_use: UrlSecretUse
    #: Why each caller of a kind that can refer to secrets holds the URL; empty: it will refer.
    obstacles: Mapping[Caller, str] = field(default_factory=dict)

    #: What suggests that the readers of a caller resolve references, where they are unknown.
    reader_evidence: Mapping[Caller, str] = field(default_factory=dict)

    @property
    def can_be_used(self) -> bool:
        """Return whether a caller of the flow can refer to the secret."""
        return "" in self.obstacles.values()


async def propose_url_secrets(
    services: Services,
    environment_id: str,
    items: Iterable[PlanItem],
    places: Mapping[str, Sequence[CallerIndexEntry]],
) -> dict[str, ProposedSecret]:
    """Return the proposed URL secrets by workflow id, or none if no vault is set.

    `places` are index entries by the ids that callers hold.
    """
    vault_url = services.settings.trigger_url_vault
    if not vault_url:
        return {}
    default_use = (await read_environment_settings(services, environment_id)).url_secret_use
    found: dict[str, ProposedSecret] = {}
    wanted: dict[Caller, str] = {}
    for item in items:
        callers = [place.caller for place in places.get(item.trigger_url_id, ())]
        is_updated = item.migration_method is MigrationMethod.UPDATE_CALLERS
        if not callers or not item.trigger_url_id or not item.action.is_copy or not is_updated:
            continue
        known = (one.address for one in callers if is_url_secret(one.address, vault_url))
        address = next(known, build_url_secret_address(vault_url, item.workflow_id))
        obstacles: dict[Caller, str] = {}
        for caller in callers:
            kind = services.callers[caller.kind]
            if isinstance(kind, RefersToSecrets) and not caller.manual_reason:
                if caller.is_only_url:
                    wanted[caller] = address
                else:
                    obstacles[caller] = "It holds more than the URL."
        found[item.workflow_id] = ProposedSecret(
            address=address, default_use=default_use, obstacles=obstacles
        )
    answers = await find_reading_obstacles(services, wanted)
    evidence = await _find_reader_evidence(services, wanted)
    return {
        flow: replace(
            one,
            obstacles={
                **one.obstacles,
                **{caller: why for caller, why in answers.items() if wanted[caller] == one.address},
            },
            reader_evidence=evidence,
        )
        for flow, one in found.items()
    }


async def _find_reader_evidence(
    services: Services, callers: Iterable[Caller]
) -> Mapping[Caller, str]:
    found: dict[Caller, str] = {}
    for kind in services.callers.values():
        if isinstance(kind, HasUnknownReaders):
            mine = {one.address: one for one in callers if one.kind == kind.kind}
            evidence = await kind.find_reader_evidence(mine) if mine else {}
            found |= {mine[address]: text for address, text in evidence.items()}
    return found
