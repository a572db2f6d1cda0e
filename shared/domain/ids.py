"""Derive ids, and check and normalize ids from outside before they reach a store or a URL.

The same flow and policy always give the same ids of a job and a copy.
"""

import hashlib
import re
import uuid

#: Namespace of the ids of jobs, copies and remediations.
NAMESPACE = uuid.UUID("6f0a1d6e-8f3b-5a54-9d0a-2f6b7c1e9d11")


def derive_flow_job_id(environment_id: str, original_id: str, policy_id: str) -> str:
    """Return the id of the flow job for this original and policy."""
    return str(uuid.uuid5(NAMESPACE, f"job/{environment_id}/{original_id}/{policy_id}".lower()))


def derive_copy_id(environment_id: str, original_id: str, policy_id: str) -> str:
    """Return the Dataverse id of the copy of this original under this policy."""
    return str(uuid.uuid5(NAMESPACE, f"copy/{environment_id}/{original_id}/{policy_id}".lower()))


def hash_key(*parts: str) -> str:
    """Return a hash of the parts. Every store accepts it as a key."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:40]


#: Ids of environments (including `Default-<guid>`), flows, jobs and remediations.
IDENTIFIER = r"^[A-Za-z0-9][A-Za-z0-9-]{0,79}$"
_IDENTIFIER = re.compile(IDENTIFIER)


def is_identifier(value: object) -> bool:
    """Return whether `value` is a text that can be an id."""
    return isinstance(value, str) and _IDENTIFIER.fullmatch(value) is not None


def normalize_environment_id(text: str) -> str:
    """Return an environment's id as the platform writes it, which is how rows store it.

    Ids are GUIDs in lower case. The default environment's id starts with `Default-`.
    """
    prefix, dash, rest = text.partition("-")
    if prefix.lower() == "default" and dash:
        return f"Default-{rest.lower()}"
    return text.lower()
