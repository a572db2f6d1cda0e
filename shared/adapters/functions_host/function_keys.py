"""Checks function keys by a route of this app that the Functions host guards with them.

Only the host can check a key. It checks the keys of all requests to a route, or none, so that a
route which asks for a key is closed to people who sign in. The routes of the API therefore ask for
none, and the app sends a key that it is given to the one route that does.
"""

import asyncio
import hashlib
from datetime import datetime, timedelta
from typing import NamedTuple

from shared.adapters.http.client import HttpClient, HttpService, ServiceRequest
from shared.errors import CmkflowError, ServiceUnavailable, TokenRejected, TransientError
from shared.ports import Clock

_SERVICE = HttpService(name="Functions host", scope="", credential=None)
_PATH = "/api/function-key"
_HEADER = "x-functions-key"
#: A key that was revoked is accepted for as long.
_REMEMBERED = timedelta(minutes=1)
#: Of different keys; whoever sends more of them has none.
_MOST = 1000
_LONGEST_KEY = 1000


class _Checked(NamedTuple):
    is_accepted: bool
    until: datetime


class HostFunctionKeys:
    """Asks the host, and remembers its answer for a minute. Keys are remembered as their hash."""

    def __init__(self, http: HttpClient, clock: Clock, address: str) -> None:
        """`address` is where this app answers; empty: no key can be checked."""
        self._http, self._clock, self._address = http, clock, address
        self._checked: dict[bytes, _Checked] = {}
        #: One check at a time: a flood of wrong keys does not use up the instances.
        self._lock = asyncio.Lock()

    async def accepts(self, key: str) -> bool:
        """Return whether it is a key of this app; raises `TransientError` if that cannot be
        known.
        """
        # No header carries anything else.
        if not (key.isascii() and key.isprintable()) or len(key) > _LONGEST_KEY:
            return False
        digest = hashlib.sha256(key.encode()).digest()
        known = self._known(digest)
        if known is None:
            async with self._lock:
                known = self._known(digest)
                if known is None:
                    known = await self._ask(key)
                    self._remember(digest, is_accepted=known)
        return known

    def _known(self, digest: bytes) -> bool | None:
        found = self._checked.get(digest)
        return found.is_accepted if found and self._clock.now() < found.until else None

    def _remember(self, digest: bytes, *, is_accepted: bool) -> None:
        if len(self._checked) >= _MOST:
            self._checked.clear()
        self._checked[digest] = _Checked(is_accepted, self._clock.now() + _REMEMBERED)

    async def _ask(self, key: str) -> bool:
        if not self._address:
            raise ServiceUnavailable("No function key can be checked: WEBSITE_HOSTNAME is not set")
        call = ServiceRequest(method="GET", url=f"{self._address}{_PATH}", headers={_HEADER: key})
        try:
            await self._http.send(_SERVICE, call)
        except TokenRejected:
            return False
        except TransientError:
            raise
        except CmkflowError as err:
            text = f"The app cannot reach its own address to check a function key: {err}"
            raise ServiceUnavailable(text) from None
        return True
