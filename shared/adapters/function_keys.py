"""Check function keys through a route of this app that the Functions host protects with them.

Only the host can check a key, and a route requires a key for all requests or for none. The routes
of the API also accept people who sign in, so they require no key; the app sends each key that it
receives to the one route that does.
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
#: How long a revoked key remains accepted.
_RESULT_LIFETIME = timedelta(minutes=1)
#: Maximum number of cached keys; the cache is cleared when it is full.
_MOST = 1000
_LONGEST_KEY = 1000


class _Checked(NamedTuple):
    is_accepted: bool
    until: datetime


class HostFunctionKeys:
    """Implements the port `FunctionKeys`. Caches each result for a minute."""

    def __init__(self, http: HttpClient, clock: Clock, address: str) -> None:
        """`address` is the app's own URL. If it is empty, no key can be checked."""
        self._http, self._clock, self._address = http, clock, address
        self._checked: dict[bytes, _Checked] = {}
        #: One check at a time, so that many wrong keys do not occupy all instances.
        self._lock = asyncio.Lock()

    async def accepts(self, key: str) -> bool:
        # A header can carry no other characters.
        if not (key.isascii() and key.isprintable()) or len(key) > _LONGEST_KEY:
            return False
        digest = hashlib.sha256(key.encode()).digest()
        known = self._find_cached_result(digest)
        if known is None:
            async with self._lock:
                known = self._find_cached_result(digest)
                if known is None:
                    known = await self._send_key_to_host(key)
                    self._store_cached_result(digest, is_accepted=known)
        return known

    def _find_cached_result(self, digest: bytes) -> bool | None:
        found = self._checked.get(digest)
        return found.is_accepted if found and self._clock.now() < found.until else None

    def _store_cached_result(self, digest: bytes, *, is_accepted: bool) -> None:
        if len(self._checked) >= _MOST:
            self._checked.clear()
        self._checked[digest] = _Checked(is_accepted, self._clock.now() + _RESULT_LIFETIME)

    async def _send_key_to_host(self, key: str) -> bool:
        if not self._address:
            raise ServiceUnavailable("Cannot check function keys: WEBSITE_HOSTNAME is not set")
        call = ServiceRequest(method="GET", url=f"{self._address}{_PATH}", headers={_HEADER: key})
        try:
            await self._http.send(_SERVICE, call)
        except TokenRejected:
            return False
        except TransientError:
            raise
        except CmkflowError as err:
            text = f"The app cannot connect to its own URL to check a function key: {err}"
            raise ServiceUnavailable(text) from None
        return True
