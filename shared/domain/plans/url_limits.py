"""Compare the trigger URL that a copy will get with what a caller can hold and reach.

The URL does not exist yet. Its expected length is that of the longest current format
(platform.md#url-shapes).
"""

from urllib.parse import quote

from shared.domain.callers.caller import Caller

_ID = "0" * 32
_SIGNATURE = "0" * 43


def describe_url_limits(host: str, trigger_name: str, caller: Caller) -> str:
    """Return what has to change before the caller can use the copy's URL, or "" if nothing.

    `host` is the copy's expected host.
    """
    found = []
    length = estimate_url_length(host, trigger_name)
    if caller.max_url_length is not None and length > caller.max_url_length:
        found.append(
            f"It can hold URLs of {caller.max_url_length} characters, but the copy's URL may have "
            f"{length}: make room for it before you approve."
        )
    if caller.allowed_hosts and not any(
        _is_host_allowed(one, host) for one in caller.allowed_hosts
    ):
        found.append(f"It may not call {host}: add this host to its allow list before you approve.")
    return " ".join(found)


def estimate_url_length(host: str, trigger_name: str) -> int:
    """Return the number of characters of the longest trigger URL that a copy may get."""
    permission = quote(f"/triggers/{quote(trigger_name, safe='')}/run", safe="")
    path = f"workflows/{_ID}/triggers/{quote(trigger_name, safe='')}/paths/invoke"
    query = f"api-version=1&sp={permission}&sv=1.0&sig={_SIGNATURE}"
    root = f"https://{host}:443/powerautomate/automations/direct/cu/00"
    return len(f"{root}/{path}?{query}")


def _is_host_allowed(pattern: str, host: str) -> bool:
    return host.endswith(pattern[1:]) if pattern.startswith("*.") else host == pattern
