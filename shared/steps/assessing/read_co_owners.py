"""Read whom the flows that stay are shared with, for an assessment, many in a call."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from shared.domain.assessment.assessment import AssessedFlow
from shared.domain.assessment.snapshots import NoAnswer
from shared.domain.environment import Environment
from shared.domain.sharing import USERS, Share
from shared.errors import CmkflowError
from shared.services import Services
from shared.steps.optional_read import no_answer, read_or_none

#: Flows that are asked for in one assessment; the others say that they were not.
MOST = 1_000
_MAY_EDIT = "WriteAccess"
#: Of these the flow service alone knows (platform.md#flow-permissions).
_MY_FLOW = "it is in no solution, and the flow service takes a call of its small budget for each"
_MAYBE_MY_FLOW = "Dataverse knows those of solution flows, and whether it is one is not known"

#: Shares of flows by workflow id, or why they are not known.
type ReadShares = Mapping[str, Sequence[Share] | NoAnswer]


async def read_shares(
    services: Services, environment: Environment, flows: Sequence[AssessedFlow]
) -> ReadShares:
    """Return the shares of each flow; what gives no answer is noted as such."""
    if environment.dataverse_url is None:
        silent = NoAnswer(message="the environment has no Dataverse")
        return {flow.workflow_id: silent for flow in flows}
    asked = [flow.workflow_id for flow in flows if flow.in_solution is not False][:MOST]
    told = await read_or_none(services.flow_sharing.list_each(environment, asked))
    shares: dict[str, Sequence[Share] | NoAnswer] = {}
    for flow in flows:
        if flow.in_solution is False:
            shares[flow.workflow_id] = NoAnswer(message=_MY_FLOW)
        elif isinstance(told, NoAnswer):
            shares[flow.workflow_id] = told
        else:
            untold = NoAnswer(message=f"only {MOST} flows are asked for")
            one = told.get(flow.workflow_id, untold)
            shares[flow.workflow_id] = no_answer(one) if isinstance(one, CmkflowError) else one
    return shares


def principal_ids(shares: ReadShares) -> set[str]:
    """Return everybody whom a flow is shared with, by id."""
    told = (one for one in shares.values() if not isinstance(one, NoAnswer))
    return {share.principal.id for some in told for share in some}


def with_co_owners(
    flows: Sequence[AssessedFlow], read: ReadShares, names: dict[str, str]
) -> list[AssessedFlow]:
    """Return the flows with their co-owners, by name where one is known."""
    return [_with(flow, read[flow.workflow_id], names) for flow in flows]


def _with(
    flow: AssessedFlow, shares: Sequence[Share] | NoAnswer, names: dict[str, str]
) -> AssessedFlow:
    if isinstance(shares, NoAnswer):
        return replace(flow, co_owners_unknown_reason=f"Co-owners are not known: {shares.message}.")
    told = sorted(_told(share, names) for share in shares if share.rights)
    gap = "" if flow.in_solution else f"There may be more: {_MAYBE_MY_FLOW}."
    return replace(flow, co_owners=tuple(told), co_owners_unknown_reason=gap)


def _told(share: Share, names: dict[str, str]) -> str:
    name = names.get(share.principal.id, share.principal.id)
    kind = "" if share.principal.table == USERS else f" ({share.principal.table})"
    return f"{name}{kind}{'' if _MAY_EDIT in share.rights else ': may read'}"
