"""HTTP: whether this deployment can do its work."""

from functions.assessments_api import FindingAnswer
from functions.endpoints import Call, endpoint
from functions.http_requests import NoBody, NoQuery
from functions.http_responses import ItemList
from shared.bootstrap import services
from shared.domain.principal import Role
from shared.use_cases.check_deployment import examine_deployment as examine


@endpoint(role=Role.READER, answer=ItemList[FindingAnswer])
async def examine_deployment(_call: Call[NoQuery, NoBody]) -> ItemList[FindingAnswer]:
    """Return what each check of the deployment found; it asks every service, and writes nothing."""
    found = await examine(services())
    return ItemList[FindingAnswer](items=tuple(map(FindingAnswer.model_validate, found)))
