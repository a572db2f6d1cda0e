"""Reads Azure resources so that a reading of many requests continues where it was interrupted.

Inside `resuming` each answer is stored, and a request that was answered is not made again.
"""

import builtins
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Protocol

from shared.domain.definitions.json_values import as_mapping, objects_at, text_at
from shared.errors import NotFound, PlatformError, ServiceUnavailable
from shared.ports import PagedResourceReader, ResourceReader, ResultPage

type Document = Mapping[str, object]

#: What the answer to a request for one resource is stored under.
_FOUND = "found"
#: Status codes of an answer to a cursor that has expired.
_EXPIRED = frozenset({400, 410})


class StoredAnswers(Protocol):
    """The answers of a reading."""

    def find(self, request: str) -> Document | None:
        """Return the answer to a request; None: it has none.

        Raises `ThrottledError` if this reader may not make the request now.
        """

    async def keep(self, request: str, answer: Document) -> None:
        """Store the answer to a request."""

    async def forget(self, start: str) -> None:
        """Remove the answers to requests that begin with `start`."""


_answers: ContextVar[StoredAnswers | None] = ContextVar("answers", default=None)


@contextmanager
def resuming(answers: StoredAnswers) -> Iterator[None]:
    """Use and store answers of every `ResumableResources` inside, also in tasks begun there."""
    before = _answers.set(answers)
    try:
        yield
    finally:
        _answers.reset(before)


class ResumableResources(ResourceReader):
    """Stands before a reader; outside of `resuming` it passes every request on."""

    def __init__(self, resources: PagedResourceReader) -> None:
        """Read with `resources`."""
        self._resources = resources

    async def list(self, resource_type: str, api_version: str) -> list[Document]:
        """Return every resource of a type."""
        answers = _answers.get()
        if answers is None:
            return await self._resources.list(resource_type, api_version)
        read = partial(self._resources.list_page, resource_type, api_version)
        return await _all_pages(answers, f"{resource_type} {api_version}", read)

    async def get(self, resource_id: str, api_version: str, suffix: str = "") -> Document:
        """Return one resource, or what lies below it; raises `NotFound`."""
        answers = _answers.get()
        if answers is None:
            return await self._resources.get(resource_id, api_version, suffix)
        request = f"{resource_id}{suffix} {api_version}"
        answer = answers.find(request)
        if answer is None:
            try:
                answer = {_FOUND: await self._resources.get(resource_id, api_version, suffix)}
            except NotFound:
                answer = {}
            await answers.keep(request, answer)
        if _FOUND not in answer:
            raise NotFound(f"there is no resource {resource_id}{suffix}")
        return as_mapping(answer[_FOUND])

    async def list_children(
        self, resource_id: str, collection: str, api_version: str
    ) -> builtins.list[Document]:
        """Return all of a collection below a resource; raises `NotFound`."""
        answers = _answers.get()
        if answers is None:
            return await self._resources.list_children(resource_id, collection, api_version)
        read = partial(self._resources.children_page, resource_id, collection, api_version)
        return await _all_pages(answers, f"{resource_id}/{collection} {api_version}", read)


async def _all_pages(
    answers: StoredAnswers, request: str, read: Callable[[str], Awaitable[ResultPage[Document]]]
) -> list[Document]:
    """Return the items of all pages; raises `NotFound` where there is no list."""
    found: list[Document] = []
    cursor = ""
    while True:
        answer = answers.find(f"{request} {cursor}")
        if answer is None:
            answer = await _read_page(answers, request, cursor, read)
        if not answer:
            raise NotFound(f"there is no list {request}")
        found += objects_at(answer, "items")
        cursor = text_at(answer, "cursor") or ""
        if not cursor:
            return found


async def _read_page(
    answers: StoredAnswers,
    request: str,
    cursor: str,
    read: Callable[[str], Awaitable[ResultPage[Document]]],
) -> Document:
    """Read and store a page; where its cursor has expired, this list begins anew, and no other."""
    try:
        page = await read(cursor)
        answer: Document = {"items": list(page.items), "cursor": page.cursor}
    except (NotFound, PlatformError) as err:
        if cursor and (isinstance(err, NotFound) or err.status in _EXPIRED):
            await answers.forget(f"{request} ")
            text = f"A list of Azure resources could not be continued, and is read again: {err}"
            raise ServiceUnavailable(text) from err
        if not isinstance(err, NotFound):
            raise
        answer = {}
    await answers.keep(f"{request} {cursor}", answer)
    return answer
