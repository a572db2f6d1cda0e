"""Read whom the flows that stay are shared with, for an assessment: a call to Dataverse each."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from shared.domain.assessment.assessment import AssessedFlow
from shared.domain.assessment.facts import NoAnswer
from shared.domain.environment import Environment
from shared.domain.sharing import USERS, Share
from shared.services import Services
from shared.steps.ask import ask

#: Flows that are asked for in one assessment; the others say that they were not.
MOST = 300
#: Calls at a time: Dataverse allows one user 52.
_AT_A_TIME = 8
_MAY_EDIT = "WriteAccess"
#: §5.5: of these the flow service alone knows.
_MY_FLOW = "it is in no solution, and the flow service takes a call of its small budget for each"
_MAYBE_MY_FLOW = "Dataverse knows those of solution flows, and whether it is one is not known"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadShares:
    """What Dataverse told of the flows' shares."""

    #: By workflow id.
    shares: dict[str, list[Share] | NoAnswer]
    calls: int = 0

    @property
    def principal_ids(self) -> set[str]:
        """Everybody whom a flow is shared with, by id."""
        told = (one for one in self.shares.values() if not isinstance(one, NoAnswer))
        return {share.principal.id for shares in told for share in shares}


async def read_shares(
    services: Services, environment: Environment, flows: Sequence[AssessedFlow]
) -> ReadShares:
    """Return the shares of each flow; what gives no answer is noted as such."""
    if environment.dataverse_url is None:
        silent = NoAnswer(why="the environment has no Dataverse")
        return ReadShares(shares={flow.workflow_id: silent for flow in flows})
    asked = [flow for flow in flows if flow.in_solution is not False][:MOST]
    gate = asyncio.Semaphore(_AT_A_TIME)
    shares: dict[str, list[Share] | NoAnswer] = {}

    async def read(flow: AssessedFlow) -> None:
        async with gate:
            listed = services.flow_sharing.list(environment, flow.workflow_id)
            shares[flow.workflow_id] = await ask(listed)

    async def read_all() -> None:
        await asyncio.gather(*(read(flow) for flow in asked))

    slow = await ask(read_all())
    why = slow if isinstance(slow, NoAnswer) else NoAnswer(why=f"only {MOST} flows are asked for")
    for flow in flows:
        missing = NoAnswer(why=_MY_FLOW) if flow.in_solution is False else why
        shares.setdefault(flow.workflow_id, missing)
    return ReadShares(
        shares=shares,
        calls=len(asked),
    )


def with_co_owners(
    flows: Sequence[AssessedFlow], read: ReadShares, names: dict[str, str]
) -> list[AssessedFlow]:
    """Return the flows with their co-owners, by name where one is known."""
    return [_with(flow, read.shares[flow.workflow_id], names) for flow in flows]


def _with(
    flow: AssessedFlow, shares: list[Share] | NoAnswer, names: dict[str, str]
) -> AssessedFlow:
    if isinstance(shares, NoAnswer):
        return replace(flow, co_owners_gap=f"Co-owners are not known: {shares.why}.")
    told = sorted(_told(share, names) for share in shares if share.rights)
    gap = "" if flow.in_solution else f"There may be more: {_MAYBE_MY_FLOW}."
    return replace(flow, co_owners=tuple(told), co_owners_gap=gap)


def _told(share: Share, names: dict[str, str]) -> str:
    name = names.get(share.principal.id, share.principal.id)
    kind = "" if share.principal.table == USERS else f" ({share.principal.table})"
    return f"{name}{kind}{'' if _MAY_EDIT in share.rights else ': may read'}"
