import asyncio
from collections.abc import Iterator
from datetime import timedelta

import pytest

from shared.domain.assessment.snapshots import NoAnswer
from shared.errors import PlatformError, ThrottledError
from shared.steps.optional_read import read_or_no_answer, read_or_no_answer_with_retry


async def _raise(err: Exception) -> str:
    raise err


async def test_rejected_read_is_no_answer_and_shows_no_signature() -> None:
    url = f"https://x.example/workflows/{'0' * 32}/triggers/manual/paths/invoke?sig={'a' * 43}"

    answer = await read_or_no_answer(
        _raise(PlatformError(f"no: {url}", code="Forbidden", status=403))
    )

    assert isinstance(answer, NoAnswer)
    assert "Forbidden" in answer.message
    assert "a" * 43 not in answer.message


async def test_read_beyond_its_time_limit_is_no_answer() -> None:
    answer = await read_or_no_answer(asyncio.Event().wait(), seconds=0.01)

    assert isinstance(answer, NoAnswer)


async def test_error_of_the_app_itself_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        await read_or_no_answer(_raise(ZeroDivisionError()))


async def test_throttled_read_is_retried_once_after_the_given_wait() -> None:
    answers: Iterator[str | Exception] = iter(
        [ThrottledError(retry_after=timedelta(0)), "flows", ThrottledError(), "never"]
    )

    async def ask() -> str:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert await read_or_no_answer_with_retry(ask) == "flows"
    assert isinstance(await read_or_no_answer_with_retry(ask), NoAnswer)
