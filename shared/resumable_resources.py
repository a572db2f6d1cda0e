"""Read Azure resources so that a long read can continue after an interruption.

Inside `resume_reading`, each response is stored, so that a repetition does not send the request
again.
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

#: Key of the response to a request for one resource.
_FOUND = "found"
#: Status codes for an expired cursor.
_EXPIRED = frozenset({400, 410})


class StoredAnswers(Protocol):
    """The stored responses of one long read."""

    def find_answer(self, request: str) -> Document | None:
        """Return the stored response to a request, or None if there is none.

        Raises `ThrottledError` if there is none and this reader may not send the request now.
        """

    async def store_answer(self, request: str, answer: Document) -> None:
        """Store the response to a request."""

    async def delete_answers(self, start: str) -> None:
        """Delete the responses to requests that begin with `start`."""


_answers: ContextVar[StoredAnswers | None] = ContextVar("answers", default=None)


@contextmanager
def resume_reading(answers: StoredAnswers) -> Iterator[None]:
    """Let every `ResumableResources` inside the block use and store responses.

    Tasks that are started there do so too.
    """
    before = _answers.set(answers)
    try:
        yield
    finally:
        _answers.reset(before)


class ResumableResources(ResourceReader):
    """A reader of Azure resources that answers from stored responses inside `resume_reading`.

    It forwards all other requests.
    """

    def __init__(self, resources: PagedResourceReader) -> None:
        self._resources = resources

    async def list(self, resource_type: str, api_version: str) -> list[Document]:
        """Return every resource of a type."""
        answers = _answers.get()
        if answers is None:
            return await self._resources.list(resource_type, api_version)
        read = partial(self._resources.list_page, resource_type, api_version)
        return await _read_all_pages(answers, f"{resource_type} {api_version}", read)

    async def get(self, resource_id: str, api_version: str, suffix: str = "") -> Document:
        """Return a resource or a sub-resource. Raises `NotFound` if it does not exist."""
        answers = _answers.get()
        if answers is None:
            return await self._resources.get(resource_id, api_version, suffix)
        request = f"{resource_id}{suffix} {api_version}"
        answer = answers.find_answer(request)
        if answer is None:
            try:
                answer = {_FOUND: await self._resources.get(resource_id, api_version, suffix)}
            except NotFound:
                answer = {}
            await answers.store_answer(request, answer)
        if _FOUND not in answer:
            raise NotFound(f"No resource {resource_id}{suffix}")
        return as_mapping(answer[_FOUND])

    async def list_children(
        self, resource_id: str, collection: str, api_version: str
    ) -> builtins.list[Document]:
        """Return all items of a collection of a resource.

        Raises `NotFound` if the resource does not exist.
        """
        answers = _answers.get()
        if answers is None:
            return await self._resources.list_children(resource_id, collection, api_version)
        read = partial(self._resources.read_children_page, resource_id, collection, api_version)
        return await _read_all_pages(answers, f"{resource_id}/{collection} {api_version}", read)


async def _read_all_pages(
    answers: StoredAnswers, request: str, read: Callable[[str], Awaitable[ResultPage[Document]]]
) -> list[Document]:
    found: list[Document] = []
    read_cursors, cursor = set[str](), ""
    while True:
        answer = answers.find_answer(f"{request} {cursor}")
        if answer is None:
            answer = await _read_page(answers, request, cursor, read)
        if not answer:
            raise NotFound(f"No list {request}")
        found += objects_at(answer, "items")
        cursor = text_at(answer, "cursor") or ""
        if not cursor:
            return found
        if cursor in read_cursors:
            await answers.delete_answers(f"{request} ")
            raise ServiceUnavailable("Restarting a list of Azure resources that repeats its pages")
        read_cursors.add(cursor)


async def _read_page(
    answers: StoredAnswers,
    request: str,
    cursor: str,
    read: Callable[[str], Awaitable[ResultPage[Document]]],
) -> Document:
    """Read and store a page.

    If its cursor has expired, delete the stored pages of this list and raise `ServiceUnavailable`,
    so that the next reader starts the list again.
    """
    try:
        page = await read(cursor)
        answer: Document = {"items": list(page.items), "cursor": page.cursor}
    except (NotFound, PlatformError) as err:
        if cursor and (isinstance(err, NotFound) or err.status in _EXPIRED):
            await answers.delete_answers(f"{request} ")
            text = f"Restarting a list of Azure resources with an expired cursor: {err}"
            raise ServiceUnavailable(text) from err
        if not isinstance(err, NotFound):
            raise
        answer = {}
    await answers.store_answer(f"{request} {cursor}", answer)
    return answer
