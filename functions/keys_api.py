"""API: check keys before and after a policy is applied."""

from functions.assessments_api import FindingResponse
from functions.endpoints import ApiRequest, endpoint
from functions.http_requests import KeyChoice, NoQuery
from functions.http_responses import ApiResponse, ItemListResponse
from shared.bootstrap import services
from shared.domain.finding import FindingLevel
from shared.domain.principal import Role
from shared.use_cases.audit_state import read_keys_state
from shared.use_cases.check_keys import check_keys as check


class KeyCheckRequest(KeyChoice):
    """The key to check. Without one, the app checks the keys of all known policies."""


class KeyCheckResponse(ApiResponse):
    """The check of one key: of a policy's key, or of a key that no policy names."""

    #: Empty if no policy names the key.
    policy_id: str
    policy_name: str
    vault_id: str
    key_name: str
    #: Names of the environments of the policy.
    environments: tuple[str, ...]
    #: The highest level of the findings.
    level: FindingLevel
    findings: tuple[FindingResponse, ...]
    #: Steps by which environments leave a policy that is bound to one key version.
    policy_replacement_steps: tuple[str, ...]


@endpoint(role=Role.OPERATOR, subject=read_keys_state)
async def check_keys(
    call: ApiRequest[NoQuery, KeyCheckRequest],
) -> ItemListResponse[KeyCheckResponse]:
    """Check keys now, and update the key alerts that the health shows.

    Writes nothing to keys or vaults. Returns 404 for an unknown vault.
    """
    question = call.body
    found = await check(services(), vault=question.vault or "", key=question.key or "")
    items = tuple(KeyCheckResponse.model_validate(one) for one in found)
    return ItemListResponse[KeyCheckResponse](items=items)
