"""Send requests to Dataverse's Web API. Each environment has its own URL and token audience."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import batched

from azure.core.credentials_async import AsyncTokenCredential

from shared.adapters.dataverse.batch import (
    BatchResponsePart,
    build_batch_request,
    parse_batch_response,
)
from shared.adapters.http.client import (
    HttpClient,
    HttpService,
    ServiceRequest,
    ServiceResponse,
    note_new_page_url,
    parse_object,
    parse_page,
    require_next_page_on_service,
)
from shared.adapters.http.errors import FailedResponse
from shared.adapters.http.policies import RequestLimiter
from shared.concurrency import run_concurrently
from shared.domain.environment import Environment
from shared.errors import CmkflowError, PlatformError, ServiceUnavailable

_PATH = "/api/data/v9.2/"
#: Maximum rows per page: ten thousand definitions take twenty requests.
_PAGE = 500
#: Ids per filter, so that the URL has fewer than 2,000 characters.
IDS_IN_A_FILTER = 25
_LINK = "@odata.nextLink"
#: Reads per batch (maximum 1,000). Dataverse runs them in sequence, within one request's timeout.
_IN_A_BATCH = 100
#: Up to this many reads are one batch; more are divided among concurrent batches.
_FEW = 10
#: Concurrent batches: Dataverse allows 52 concurrent requests per user
#: (platform.md#dataverse-limits).
_AT_A_TIME = 10
#: Turns of the event loop in which concurrent tasks and their subtasks can add reads to a batch.
_TURNS = 3
_HEADERS = {"OData-Version": "4.0", "OData-MaxVersion": "4.0"}

#: The result of one of several reads.
type _Read = Mapping[str, object] | CmkflowError


class Dataverse:
    """Sends requests to the Dataverse of any environment as the application."""

    def __init__(
        self,
        http: HttpClient,
        credential: AsyncTokenCredential,
        budget: Callable[[str], RequestLimiter] | None = None,
    ) -> None:
        """`budget` returns the request budget of a Dataverse URL, because limits are per
        environment.
        """
        self._http = http
        self._credential = credential
        self._budget = budget
        self._services: dict[str, HttpService] = {}
        #: By Dataverse URL: the reads waiting for the next batch, and their results.
        self._asked: dict[str, tuple[list[ServiceRequest], asyncio.Task[list[_Read]]]] = {}

    async def send(self, environment: Environment, call: ServiceRequest) -> ServiceResponse:
        """Send a request with a `url` relative to the Web API, such as `workflows(…)`."""
        service = self._get_service(environment)
        return await self._http.send(service, self._with_absolute_url(environment, call))

    async def read(self, environment: Environment, call: ServiceRequest) -> Mapping[str, object]:
        """Send a read and return the JSON object in the response.

        Reads that are requested at the same time are sent in batches.
        """
        url = _require_dataverse_url(environment)
        if url not in self._asked:
            calls: list[ServiceRequest] = []
            self._asked[url] = (
                calls,
                asyncio.create_task(self._send_gathered_reads(environment, calls)),
            )
        calls, answers = self._asked[url]
        calls.append(call)
        number = len(calls) - 1
        # Other callers get their answer even if this one is cancelled.
        answer = (await asyncio.shield(answers))[number]
        if isinstance(answer, CmkflowError):
            raise answer
        return answer

    async def _send_gathered_reads(
        self, environment: Environment, calls: Sequence[ServiceRequest]
    ) -> list[_Read]:
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        del self._asked[_require_dataverse_url(environment)]
        return await self.read_each_or_error(environment, calls)

    def read_rows(
        self, environment: Environment, table: str, params: Mapping[str, str]
    ) -> AsyncIterator[object]:
        """Yield the rows of a table as JSON objects."""
        call = self._with_absolute_url(environment, _build_list_request(table, params))
        return self._http.read_items(self._get_service(environment), call, link=_LINK)

    async def read_each_or_error(
        self, environment: Environment, calls: Sequence[ServiceRequest]
    ) -> list[_Read]:
        """Send reads in batches, and return the JSON object or the error of each."""
        size = min(_IN_A_BATCH, max(_FEW, -(-len(calls) // _AT_A_TIME)))
        gate = asyncio.Semaphore(_AT_A_TIME)

        async def send_one_batch(some: Sequence[ServiceRequest]) -> list[_Read]:
            async with gate:
                try:
                    return await self._send_batch(environment, some)
                except CmkflowError as err:
                    return [err] * len(some)

        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(send_one_batch(some))
                for some in batched(calls, size, strict=False)
            ]
        return [answer for task in tasks for answer in task.result()]

    async def read_rows_of_all_queries(
        self, environment: Environment, table: str, queries: Sequence[Mapping[str, str]]
    ) -> list[object]:
        """Return the rows of several queries of one table in one list."""
        async with run_concurrently() as reads:
            pages = [
                reads.create_task(self.read(environment, _build_list_request(table, query)))
                for query in queries
            ]
        rows: list[object] = []
        for query, answer in zip(queries, pages, strict=True):
            rows += await self._read_all_pages(environment, table, query, answer.result())
        return rows

    async def read_rows_or_errors(
        self, environment: Environment, table: str, queries: Sequence[Mapping[str, str]]
    ) -> list[list[object] | CmkflowError]:
        """Return, for each query of a table, its rows or its error. Sends queries in batches."""
        calls = [_build_list_request(table, query) for query in queries]
        answers = await self.read_each_or_error(environment, calls)
        found: list[list[object] | CmkflowError] = []
        for query, answer in zip(queries, answers, strict=True):
            try:
                if isinstance(answer, CmkflowError):
                    raise answer
                found.append(await self._read_all_pages(environment, table, query, answer))
            except CmkflowError as err:
                found.append(err)
        return found

    async def _read_all_pages(
        self,
        environment: Environment,
        table: str,
        query: Mapping[str, str],
        first: Mapping[str, object],
    ) -> list[object]:
        service, read = self._get_service(environment), set[str]()
        rows, cursor = parse_page(service, first, member="value", link=_LINK)
        while cursor:
            note_new_page_url(service, cursor, read)
            items, cursor = await self.read_page(environment, table, query, cursor)
            rows = [*rows, *items]
        return rows

    async def _send_batch(
        self, environment: Environment, calls: Sequence[ServiceRequest]
    ) -> list[_Read]:
        service = self._get_service(environment)
        if len(calls) == 1:
            return [parse_object(service, await self.send(environment, calls[0]))]
        reads = [self._with_absolute_url(environment, call) for call in calls]
        answer = await self.send(environment, build_batch_request("$batch", reads))
        try:
            parts = parse_batch_response(answer.headers.get("Content-Type", ""), answer.body)
        except ValueError as err:
            raise ServiceUnavailable(f"{service.name}: invalid batch response: {err}") from None
        if len(parts) != len(reads):
            raise ServiceUnavailable(
                f"{service.name}: {len(parts)} responses for {len(reads)} reads"
            )
        return [await self._parse_part(service, part) for part in parts]

    async def _parse_part(self, service: HttpService, part: BatchResponsePart) -> _Read:
        if part.status >= 400:
            failed = FailedResponse(
                service=service.name,
                method="GET",
                is_create=False,
                status=part.status,
                headers=part.headers,
                body=part.body,
            )
            return await self._http.handle_failed_response(service, failed)
        try:
            answer = ServiceResponse(status=part.status, headers=part.headers, body=part.body)
            return parse_object(service, answer)
        except CmkflowError as err:
            return err

    async def read_page(
        self,
        environment: Environment,
        table: str,
        params: Mapping[str, str],
        cursor: str = "",
        *,
        size: int = _PAGE,
    ) -> tuple[list[object], str]:
        """Return the rows of a page and the cursor of the next, or "" after the last."""
        service = self._get_service(environment)
        call = self._with_absolute_url(environment, _build_list_request(table, params, size))
        if cursor:
            require_next_page_on_service(service, call.url, cursor)
            call = replace(call, url=cursor, params={})
        return await self._http.read_page(service, call, link=_LINK)

    def _with_absolute_url(self, environment: Environment, call: ServiceRequest) -> ServiceRequest:
        url = f"{_require_dataverse_url(environment)}{_PATH}{call.url}"
        return replace(call, url=url, headers={**_HEADERS, **call.headers})

    def _get_service(self, environment: Environment) -> HttpService:
        url = _require_dataverse_url(environment)
        if url not in self._services:
            self._services[url] = HttpService(
                name="Dataverse",
                scope=f"{url}/.default",
                credential=self._credential,
                budget=self._budget(url) if self._budget else None,
            )
        return self._services[url]


def filter_by_ids(column: str, ids: Iterable[str]) -> str:
    """Return the filter for rows with any of these ids."""
    return " or ".join(f"{column} eq {one}" for one in ids)


def build_queries_by_id(columns: str, id_column: str, ids: Iterable[str]) -> list[dict[str, str]]:
    """Return the queries for these columns of the rows with any of these ids, sorted by id."""
    return [
        {"$select": columns, "$filter": filter_by_ids(id_column, some)}
        for some in batched(sorted(set(ids)), IDS_IN_A_FILTER, strict=False)
    ]


def _build_list_request(table: str, params: Mapping[str, str], size: int = _PAGE) -> ServiceRequest:
    return ServiceRequest(
        method="GET", url=table, params=params, headers={"Prefer": f"odata.maxpagesize={size}"}
    )


def _require_dataverse_url(environment: Environment) -> str:
    if environment.dataverse_url is None:
        raise PlatformError(
            f"environment {environment.id} has no Dataverse", code="NoDataverse", status=404
        )
    return environment.dataverse_url


class DataverseAdapter:
    """The base class of adapters that send requests to Dataverse."""

    def __init__(self, dataverse: Dataverse) -> None:
        self._dataverse = dataverse
