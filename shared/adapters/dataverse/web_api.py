"""Dataverse's Web API: one service per environment, each with its own address and audience."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace

from azure.core.credentials_async import AsyncTokenCredential

from shared.adapters.http.client import Answer, Call, HttpClient, Service, check_next, read_object
from shared.adapters.http.policies import Budget
from shared.domain.environment import Environment
from shared.errors import Refused

_PATH = "/api/data/v9.2/"
#: Rows a page holds at most: ten thousand definitions in twenty calls.
_PAGE = 500
_LINK = "@odata.nextLink"
_HEADERS = {"OData-Version": "4.0", "OData-MaxVersion": "4.0"}


class Dataverse:
    """Calls to the Dataverse of any environment, as the application."""

    def __init__(
        self,
        http: HttpClient,
        credential: AsyncTokenCredential,
        budget: Callable[[str], Budget] | None = None,
    ) -> None:
        """`budget` gives each Dataverse, by its URL, its own budget: limits are per environment."""
        self._http = http
        self._credential = credential
        self._budget = budget
        self._services: dict[str, Service] = {}

    async def send(self, environment: Environment, call: Call) -> Answer:
        """Make a call; its `url` is relative to the Web API, such as `workflows(…)`."""
        service = self._service(environment)
        return await self._http.send(service, self._absolute(environment, call))

    async def read(self, environment: Environment, call: Call) -> Mapping[str, object]:
        """Make a call and return the JSON object that it answers."""
        return read_object(self._service(environment), await self.send(environment, call))

    def rows(
        self, environment: Environment, table: str, params: Mapping[str, str]
    ) -> AsyncIterator[object]:
        """Yield the rows of a table set, as JSON objects."""
        call = self._absolute(environment, _list_of(table, params))
        return self._http.items(self._service(environment), call, link=_LINK)

    async def page(
        self, environment: Environment, table: str, params: Mapping[str, str], cursor: str = ""
    ) -> tuple[list[object], str]:
        """Return the rows of one page, and the next one's cursor; empty: it was the last."""
        service = self._service(environment)
        call = self._absolute(environment, _list_of(table, params))
        if cursor:
            check_next(service, call.url, cursor)
            call = replace(call, url=cursor, params={})
        return await self._http.page(service, call, link=_LINK)

    def _absolute(self, environment: Environment, call: Call) -> Call:
        url = f"{_url(environment)}{_PATH}{call.url}"
        return replace(call, url=url, headers={**_HEADERS, **call.headers})

    def _service(self, environment: Environment) -> Service:
        url = _url(environment)
        if url not in self._services:
            self._services[url] = Service(
                name="Dataverse",
                scope=f"{url}/.default",
                credential=self._credential,
                budget=self._budget(url) if self._budget else None,
            )
        return self._services[url]


def _list_of(table: str, params: Mapping[str, str]) -> Call:
    return Call(
        method="GET", url=table, params=params, headers={"Prefer": f"odata.maxpagesize={_PAGE}"}
    )


def _url(environment: Environment) -> str:
    if environment.dataverse_url is None:
        raise Refused(
            f"environment {environment.id} has no Dataverse", code="NoDataverse", status=404
        )
    return environment.dataverse_url
