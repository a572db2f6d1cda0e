"""Generate the Azure roles that the app needs in a resource group with callers.

`python -m tests.caller_roles` writes `infra/modules/caller-roles.json` and the table of
docs/deployment.md, from what the caller kinds declare. Run `make snapshots` afterwards.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from shared.kind_discovery import find_kinds
from tests.generated_tables import with_tables

ROOT = Path(__file__).parents[1]
ROLES = ROOT / "infra" / "modules" / "caller-roles.json"
PAGE = ROOT / "docs" / "deployment.md"


def build_roles() -> list[dict[str, Any]]:
    """Return the definitions of the roles that the caller kinds declare, sorted by name."""
    needs = (getattr(kind, "required_permissions", None) for kind in find_kinds("shared.callers"))
    roles = {one.role.lower(): one for one in needs if one and one.role}
    return [
        {
            "name": one.role,
            "description": one.role_purpose,
            "permissions": [
                {
                    member: sorted(names)
                    for member, names in (
                        ("actions", one.actions),
                        ("dataActions", one.data_actions),
                    )
                    if names
                }
            ],
        }
        for _, one in sorted(roles.items())
    ]


def build_text() -> str:
    """Return the text of `caller-roles.json`, from which the Bicep template creates the roles."""
    return json.dumps(build_roles(), indent=2) + "\n"


def with_table(text: str) -> str:
    """Return the text of docs/deployment.md with the table of roles generated."""
    return with_tables(text, "tests.caller_roles", {"caller roles": _format_rows()})


def _format_rows() -> Iterator[str]:
    yield "| Role | Trigger URLs that it finds and replaces |"
    yield "|---|---|"
    for role in build_roles():
        purpose = role["description"].removeprefix("Finds and replaces trigger URLs in ")
        purpose = purpose.removesuffix(" Deletes nothing.").rstrip(".")
        yield f"| *Flow remediation: {role['name']}* | {purpose} |"


if __name__ == "__main__":
    ROLES.write_text(build_text())
    PAGE.write_text(with_table(PAGE.read_text()))
