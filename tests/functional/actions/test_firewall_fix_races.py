"""Test that a fix and its revert keep a person's edit of the firewall, whichever request the edit
precedes. `UNAVOIDABLE` and docs/network.md list the exceptions.
"""

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import pytest

from shared.errors import JobBlocked, MustWait
from shared.reason import Reason
from shared.use_cases.manage_firewall_fixes import apply_fix, revert_fix
from tests.fakes.crash import Plan
from tests.functional.scenarios.firewall_scenario import (
    APPLIED,
    Guarded,
    build_fix_input,
    build_guarded_scenario,
)
from tests.kinds.case import Json

#: Where each kind stores its entries: the end of the path of the resource, and the property.
LISTS = {
    "app_service": ("/config/web", "ipSecurityRestrictions"),
    "azure_firewall": ("/ipgroups/flows", "ipAddresses"),
    "network_security_group": ("/networksecuritygroups/edge", "securityRules"),
}
#: Restrictions have no ETag: the write replaces what came after the read right before it.
UNAVOIDABLE = {("app_service", "FakeResourceWriter.patch")}


@dataclass(slots=True, kw_only=True)
class EditBeforeRequest(Plan):
    """A fault plan that lets a person edit a firewall before one request."""

    act: Callable[[], None]
    hit: str = field(default="")

    def enter(self, name: str) -> int:
        self.calls += 1
        if self.calls == self.at:
            self.hit = name
            self.act()
        return self.calls


class Person:
    def __init__(self, scenario: Guarded, kind: str, wanted: list[Any]) -> None:
        """Keep `wanted`, the entries that the app is about to add."""
        self._world, self._wanted = scenario.world, wanted
        end, self._member = LISTS[kind]
        self._path = next(path for path in scenario.world.resources if path.endswith(end))
        self._edits = 0
        #: The entries that the person added.
        self.added: list[Any] = []

    @property
    def entries(self) -> list[Any]:
        properties: Any = self._world.resources[self._path]["properties"]
        return deepcopy([*properties[self._member]])

    def add_same_entries(self) -> None:
        self._add(self._wanted)

    def add_first_entry(self) -> None:
        self._add(self._wanted[:1])

    def add_own_entry(self) -> None:
        self._add([self._build_own_entry()])

    def remove_entry(self) -> None:
        gone = next((one for one in self.entries if one in self._wanted), None)
        self._write([one for one in self.entries if one != gone])

    def _add(self, entries: list[Any]) -> None:
        self.added = [one for one in entries if one not in self.entries]
        self._write([*self.entries, *self.added])

    def _build_own_entry(self) -> Any:
        first = deepcopy(self._wanted[0])
        if isinstance(first, str):
            return "198.51.100.7"
        rule: Json = first.get("properties", first)
        rule["priority"] = 777
        return {**first, "name": "person"}

    def _write(self, listed: list[Any]) -> None:
        self._edits += 1
        resource: Any = self._world.resources[self._path]
        properties = {**resource["properties"], self._member: listed}
        changed = {**resource, "properties": properties}
        if "etag" in resource:
            changed["etag"] = f"W/person-{self._edits}"
        self._world.resources[self._path] = changed


async def read_added_entries(kind: str) -> list[Any]:
    """Return the entries that the app adds when nobody else edits."""
    scenario = await build_guarded_scenario(kind)
    before = Person(scenario, kind, []).entries
    await apply_fix(scenario.services, build_fix_input(kind))
    return [one for one in Person(scenario, kind, []).entries if one not in before]


async def request_change(use_case: Any, services: Any, kind: str) -> None:
    """Apply or revert the fix, and ignore errors that an edit may cause."""
    try:
        await use_case(services, build_fix_input(kind))
    except (JobBlocked, MustWait) as refused:
        if refused.code not in {
            Reason.ISSUE_NOT_FOUND,
            Reason.WRITE_NOT_VISIBLE,
            Reason.FIREWALL_FIX_FAILED,
        }:
            raise


def _format_entries(entries: list[Any]) -> list[str]:
    return sorted(json.dumps(one, sort_keys=True) for one in entries)


async def find_lost_races(kind: str, edit: str, *, is_undo: bool) -> set[tuple[str, str]]:
    """Make this edit before each request of a fix or, if `is_undo`, of its revert. Return the
    firewall kind and the request of each case in which the edit is lost or an entry of the app
    remains.
    """
    wanted = await read_added_entries(kind)
    lost: set[tuple[str, str]] = set()
    number = 0
    while True:
        number += 1
        scenario = await build_guarded_scenario(kind)
        person = Person(scenario, kind, wanted)
        untouched = person.entries
        if is_undo:
            await apply_fix(scenario.services, build_fix_input(kind))
        plan = EditBeforeRequest(at=number, act=getattr(person, edit))
        services = scenario.make(scenario.fakes.ports.wrap_with_plan(plan))

        await request_change(revert_fix if is_undo else apply_fix, services, kind)
        if not plan.hit:
            assert number > 1
            return lost
        await request_change(revert_fix, scenario.services, kind)

        if _format_entries(person.entries) != _format_entries([*untouched, *person.added]):
            lost.add((kind, plan.hit))


@pytest.mark.parametrize("kind", APPLIED)
@pytest.mark.parametrize(
    ("edit", "is_undo"),
    [
        ("add_same_entries", False),
        ("add_first_entry", False),
        ("add_own_entry", False),
        ("add_own_entry", True),
        ("remove_entry", True),
    ],
)
async def test_fix_and_revert_keep_entries_that_a_person_edits_at_the_same_time(
    kind: str, edit: str, is_undo: bool
) -> None:
    lost = await find_lost_races(kind, edit, is_undo=is_undo)

    assert lost <= UNAVOIDABLE
