"""Read whom the flows that stay on Microsoft's key are shared with, for an assessment.

One request reads many flows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from shared.domain.assessment.assessment import AssessedFlow
from shared.domain.assessment.snapshots import NoAnswer
from shared.domain.environment import Environment
from shared.domain.sharing import USERS, Share
from shared.errors import CmkflowError
from shared.services import Services
from shared.steps.optional_read import build_no_answer, read_or_no_answer

#: Most flows that one assessment reads shares of; the others say so.
MAX_CO_OWNER_READS = 1_000
_MAY_EDIT = "WriteAccess"
#: Only the flow service knows the co-owners of these (platform.md#flow-permissions).
_MY_FLOW = "it is in no solution, so the app would need one request of a small budget per flow"
_MAYBE_MY_FLOW = "Dataverse has the co-owners of solution flows only, and this flow may not be one"

#: Shares of flows by workflow id, or the reason why they are unknown.
type ReadShares = Mapping[str, Sequence[Share] | NoAnswer]


async def read_shares(
    services: Services, environment: Environment, flows: Sequence[AssessedFlow]
) -> ReadShares:
    """Return the shares of each flow. Where shares could not be read, a `NoAnswer` says why."""
    if environment.dataverse_url is None:
        silent = NoAnswer(message="the environment has no Dataverse")
        return {flow.workflow_id: silent for flow in flows}
    asked = [flow.workflow_id for flow in flows if flow.in_solution is not False][
        :MAX_CO_OWNER_READS
    ]
    listed = await read_or_no_answer(services.flow_sharing.list_shares_by_flow(environment, asked))
    shares: dict[str, Sequence[Share] | NoAnswer] = {}
    for flow in flows:
        if flow.in_solution is False:
            shares[flow.workflow_id] = NoAnswer(message=_MY_FLOW)
        elif isinstance(listed, NoAnswer):
            shares[flow.workflow_id] = listed
        else:
            missing = NoAnswer(message=f"only {MAX_CO_OWNER_READS} flows are read")
            one = listed.get(flow.workflow_id, missing)
            shares[flow.workflow_id] = (
                build_no_answer(one) if isinstance(one, CmkflowError) else one
            )
    return shares


def list_principal_ids(shares: ReadShares) -> set[str]:
    """Return the ids of all principals that any of these flows is shared with."""
    listed = (one for one in shares.values() if not isinstance(one, NoAnswer))
    return {share.principal.id for some in listed for share in some}


def with_co_owners(
    flows: Sequence[AssessedFlow], read: ReadShares, names: dict[str, str]
) -> list[AssessedFlow]:
    """Return the flows with their co-owners, by name if the name is known."""
    return [_add_co_owners(flow, read[flow.workflow_id], names) for flow in flows]


def _add_co_owners(
    flow: AssessedFlow, shares: Sequence[Share] | NoAnswer, names: dict[str, str]
) -> AssessedFlow:
    if isinstance(shares, NoAnswer):
        return replace(
            flow, co_owners_unknown_reason=f"Co-owners are unknown: {shares.message.rstrip('.')}."
        )
    listed = sorted(_format_share(share, names) for share in shares if share.rights)
    gap = "" if flow.in_solution else f"There may be more: {_MAYBE_MY_FLOW}."
    return replace(flow, co_owners=tuple(listed), co_owners_unknown_reason=gap)


def _format_share(share: Share, names: dict[str, str]) -> str:
    name = names.get(share.principal.id, share.principal.id)
    kind = "" if share.principal.table == USERS else f" ({share.principal.table})"
    return f"{name}{kind}{'' if _MAY_EDIT in share.rights else ': may read'}"
