"""Encode, for the URL of a plan's page, the flows that an approver leaves out.

Each flow that awaits approval is one bit, so that 2,000 flows need at most 334 characters. The
value begins with the plan version, which determines the flow of each bit.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from collections.abc import Collection, Iterable


def encode_left_out(version: str, awaiting: Iterable[str], left_out: Collection[str]) -> str:
    """Return the value of the query parameter `leave_out` for these flows, or "" if there is none.

    `awaiting` contains the workflow ids of all flows of this plan version that await approval.
    """
    bits = sum(1 << place for place, flow in enumerate(sorted(awaiting)) if flow in left_out)
    if not bits:
        return ""
    content = bits.to_bytes((bits.bit_length() + 7) // 8, "little")
    return f"{version}.{urlsafe_b64encode(content).decode().rstrip('=')}"


def decode_left_out(value: str, version: str, awaiting: Iterable[str]) -> tuple[str, ...] | None:
    """Return the workflow ids in a value of `leave_out`, or None if it is not valid for this
    version.
    """
    if not value:
        return ()
    found, _, text = value.partition(".")
    if found != version:
        return None
    try:
        bits = int.from_bytes(urlsafe_b64decode(text + "=" * (-len(text) % 4)), "little")
    except Error:
        return None
    return tuple(flow for place, flow in enumerate(sorted(awaiting)) if bits >> place & 1)
