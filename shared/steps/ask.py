"""Ask a question whose answer may stay out: the work goes on without it, and says so."""

import asyncio
from collections.abc import Awaitable

from shared.domain.assessment_facts import NoAnswer
from shared.domain.trigger_url import redact
from shared.errors import ProductError

#: How long one question may take: the host ends an HTTP request after 230 seconds.
PATIENCE = 60.0


async def ask[T](question: Awaitable[T]) -> T | NoAnswer:
    """Return the answer, or why there is none. A defect of ours is raised all the same."""
    try:
        async with asyncio.timeout(PATIENCE):
            return await question
    except ProductError as err:
        return NoAnswer(why=redact(str(err)))
    except TimeoutError:
        return NoAnswer(why=f"no answer within {PATIENCE:.0f} seconds")
