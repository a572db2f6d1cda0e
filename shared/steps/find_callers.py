"""Search every kind of caller once and note what each place holds."""

from collections.abc import Sequence

from shared.domain.environment import Environment
from shared.domain.records import Place, key_of
from shared.errors import Permanent
from shared.services import Services


async def find_callers(services: Services, environments: Sequence[Environment]) -> list[str]:
    """Note every place that holds a trigger URL or a child flow's id, by what it holds.

    Returns what could not be searched, in words: a caller there would go unnoticed until the
    original is seen not to fall quiet.
    """
    findings: list[str] = []
    for kind in services.callers.values():
        places: list[Place] = []
        try:
            async for caller in kind.find(environments):
                identity = key_of(caller.kind, caller.address)
                places += [
                    Place(holds=holds, id=identity, caller=caller, seen=services.now)
                    for holds in sorted(caller.trigger_url_ids | caller.child_flow_ids)
                ]
        except Permanent as err:
            findings.append(f"Callers of kind {kind.kind} were not all searched: {err}")
        await services.tables.places.upsert(*places)
    return findings
