"""Replace a port by one whose every call raises an error."""

from typing import Any, Never


class Failing:
    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Any:
        async def fail(*_: object, **__: object) -> Never:
            raise self._error

        return fail
