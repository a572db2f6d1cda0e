"""API: check the deployment."""

from functions.assessments_api import FindingResponse
from functions.endpoints import ApiRequest, endpoint
from functions.http_requests import NoBody, NoQuery
from functions.http_responses import ItemListResponse
from shared.bootstrap import services
from shared.domain.principal import Role
from shared.use_cases.check_deployment import check_deployment as examine


@endpoint(role=Role.READER)
async def check_deployment(
    _call: ApiRequest[NoQuery, NoBody],
) -> ItemListResponse[FindingResponse]:
    """Check the deployment and return the findings.

    Sends requests to every service. Changes nothing, except that it may renew the sign-in of the
    service account.
    """
    found = await examine(services())
    return ItemListResponse[FindingResponse](
        items=tuple(map(FindingResponse.model_validate, found))
    )
