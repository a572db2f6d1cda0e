"""HTTP: whether keys are fit to protect environments, before a policy is applied and after."""

from pydantic import ConfigDict, model_validator

from functions.assessments_api import FindingResponse
from functions.endpoints import ApiRequest, endpoint
from functions.http_requests import NoQuery, RequestModel, Text
from functions.http_responses import ApiResponse, ItemListResponse
from shared.bootstrap import services
from shared.domain.finding import FindingLevel
from shared.domain.principal import Role
from shared.use_cases.audit_state import keys_state
from shared.use_cases.check_keys import check_keys as check


class KeyCheckRequest(RequestModel):
    """Which key to check; none named: those of all watched policies."""

    model_config = ConfigDict(
        json_schema_extra={"dependentRequired": {"vault": ["key"], "key": ["vault"]}}
    )

    #: Name or Azure resource id.
    vault: Text | None = None
    key: Text | None = None

    @model_validator(mode="after")
    def _both_or_neither(self) -> "KeyCheckRequest":
        if (self.vault is None) != (self.key is None):
            message = "Name the vault and the key, or neither."
            raise ValueError(message)
        return self


class KeyCheckResponse(ApiResponse):
    """What was found of the key of one policy, or of a key that no policy names."""

    #: Empty: no policy names the key.
    policy_id: str
    policy_name: str
    vault_id: str
    key_name: str
    #: Names of those on the policy.
    environments: tuple[str, ...]
    #: The worst of the findings.
    level: FindingLevel
    findings: tuple[FindingResponse, ...]
    #: Steps by which environments leave a policy that is pinned to a version of its key.
    swap_plan: tuple[str, ...]


@endpoint(
    role=Role.OPERATOR,
    body=KeyCheckRequest,
    answer=ItemListResponse[KeyCheckResponse],
    subject=keys_state,
)
async def check_keys(
    call: ApiRequest[NoQuery, KeyCheckRequest],
) -> ItemListResponse[KeyCheckResponse]:
    """Check keys now. Nothing is written to them; what health tells of them is brought up to date.

    404 for a strange vault.
    """
    question = call.body
    found = await check(services(), vault=question.vault or "", key=question.key or "")
    items = tuple(KeyCheckResponse.model_validate(one) for one in found)
    return ItemListResponse[KeyCheckResponse](items=items)
