"""Inject faults into the app's writes. The function that builds a `Write` identifies the effect."""

import ast
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

from shared.errors import (
    CmkflowError,
    Conflict,
    PlatformError,
    PlatformMigrationInProgress,
    ServiceUnavailable,
)
from shared.steps.flows import effect
from shared.steps.flows.effect import Write
from shared.use_cases import set_kill_switch
from tests.fakes.crash import Killed, Moment, Plan
from tests.fakes.driver import Driver
from tests.fakes.pause import Pause
from tests.functional.scenarios.remediation_scenario import Scenario

#: What makes a `Write` for somebody else, who counts as its maker.
HELPERS = {"effect.py", "update_workflow.py", "write_definition.py"}
MAKERS = {"Write", "build_flow_write", "build_write_for_owner"}
FROZEN = timedelta(minutes=8)


class Fault(StrEnum):
    STOPPED = "the kill switch is turned on before the write"
    DIES_BEFORE = "the process dies before the write"
    DIES_AFTER = "the process dies after the write"
    SLEEPS_BEFORE = "the process is frozen before the write"
    SLEEPS_AFTER = "the process is frozen after the write"
    UNANSWERED = "no answer, not done"
    ANSWER_LOST = "no answer, but done"
    REFUSED = "refused"
    REFUSED_BUT_DONE = "refused, but done"
    CONFLICT = "somebody else was faster"
    CONFLICT_BUT_DONE = "an earlier try of its own was faster"
    MIGRATING = "the environment is being migrated"
    NOT_KEPT = "accepted and not kept"
    REFUSED_FOR_DAYS = "refused until a person helps"
    NOT_KEPT_FOR_DAYS = "accepted and not kept until a person helps"

    @property
    def lasts(self) -> bool:
        """Return whether the fault is injected into every write until a person acts."""
        return self in {Fault.REFUSED_FOR_DAYS, Fault.NOT_KEPT_FOR_DAYS}


def _build_refusal() -> CmkflowError:
    return PlatformError("not today", code="Strange", status=400)


def _build_migration_error() -> CmkflowError:
    return PlatformMigrationInProgress("moving", code="EnvironmentMigrationInProgress", status=409)


_ERRORS: dict[Fault, tuple[Moment, Callable[[], BaseException]]] = {
    Fault.DIES_BEFORE: (Moment.BEFORE, Killed),
    Fault.DIES_AFTER: (Moment.AFTER, Killed),
    Fault.UNANSWERED: (Moment.BEFORE, lambda: ServiceUnavailable("no answer")),
    Fault.ANSWER_LOST: (Moment.AFTER, lambda: ServiceUnavailable("no answer")),
    Fault.REFUSED: (Moment.BEFORE, _build_refusal),
    Fault.REFUSED_BUT_DONE: (Moment.AFTER, _build_refusal),
    Fault.CONFLICT: (Moment.BEFORE, lambda: Conflict("changed")),
    Fault.CONFLICT_BUT_DONE: (Moment.AFTER, lambda: Conflict("changed")),
    Fault.MIGRATING: (Moment.BEFORE, _build_migration_error),
}


@dataclass
class Striker:
    """Injects a fault into the writes of one effect, `site`."""

    scenario: Scenario
    site: str = ""
    fault: Fault | None = None
    #: The effects that wrote.
    seen: dict[str, int] = field(default_factory=dict)
    has_struck: bool = False
    is_stopped: bool = False
    is_mended: bool = False
    #: What is wrong.
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.scenario.driver = Driver(
            fakes=self.scenario.fakes, make=self.scenario.make, plan=self._plan()
        )

    def _plan(self) -> Plan:
        if self.fault in {Fault.SLEEPS_BEFORE, Fault.SLEEPS_AFTER}:
            moment = Moment.BEFORE if self.fault is Fault.SLEEPS_BEFORE else Moment.AFTER
            return Pause(moment=moment, sleeps=FROZEN, clock=self.scenario.world.clock)
        if self.fault in _ERRORS:
            moment, failure = _ERRORS[self.fault]
            return Plan(moment=moment, failure=failure)
        return Plan()

    def _may_strike(self, site: str) -> bool:
        if site != self.site or self.has_struck:
            return False
        self.has_struck = True
        return True

    async def permit(self, site: str, permit: Callable[[], Awaitable[object]]) -> None:
        if self.fault is not Fault.STOPPED or not self._may_strike(site):
            await permit()
            return
        await self.switch(is_on=True)
        try:
            await permit()
        except CmkflowError:
            raise
        self.wrong.append(f"{site} writes although the kill switch is on")

    async def switch(self, *, is_on: bool) -> None:
        await set_kill_switch.set_kill_switch(
            self.scenario.services, is_on=is_on, by="tests", reason="looking"
        )
        self.is_stopped = is_on

    async def call(self, site: str, call: Callable[[], Awaitable[object]]) -> None:
        self.seen[site] = self.seen.get(site, 0) + 1
        if self.fault is None or self.fault is Fault.STOPPED:
            await call()
            return
        if site == self.site and self.fault.lasts and not self.is_mended:
            self.has_struck = True
            if self.fault is Fault.REFUSED_FOR_DAYS:
                raise _build_refusal()
            return
        if self.fault is Fault.NOT_KEPT and self._may_strike(site):
            return
        if self.fault is not Fault.NOT_KEPT and not self.fault.lasts and self._may_strike(site):
            plan = self.scenario.driver.plan
            plan.at = plan.calls + 1
        await call()


@contextmanager
def install_striker(striker: Striker) -> Iterator[None]:
    before = Write.__init__

    def initialize(write: Write, **members: Any) -> None:
        site = getattr(members["call"], "site", "") or _find_site(sys._getframe(1))
        for name in ("permit", "call"):
            if not hasattr(members[name], "site"):
                members[name] = _wrap_with_guard(getattr(striker, name), site, members[name])
        before(write, **members)

    Write.__init__ = initialize  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        Write.__init__ = before  # type: ignore[method-assign]


def _wrap_with_guard(guard: Any, site: str, inner: Any) -> Any:
    def run_guarded() -> Any:
        return guard(site, inner)

    run_guarded.site = site  # type: ignore[attr-defined]
    return run_guarded


def _find_site(frame: Any) -> str:
    """Return the file and the name of the function that builds the write."""
    while Path(frame.f_code.co_filename).name in {*HELPERS, "dataclasses.py", Path(__file__).name}:
        frame = frame.f_back
    if frame.f_code.co_filename.startswith("<"):  # a dataclass made anew
        return _find_site(frame.f_back)
    path = Path(frame.f_code.co_filename)
    root = Path(effect.__file__).parents[3]
    name = frame.f_code.co_qualname.replace(".<locals>", "").replace(".<lambda>", "")
    return f"{path.relative_to(root)}:{name}"


@cache
def find_all_sites() -> frozenset[str]:
    found = set[str]()
    for path in Path("shared").rglob("*.py"):
        if path.name not in HELPERS:
            found |= {
                f"{path}:{name}" for name in _find_makers(ast.parse(path.read_text("utf-8")), "")
            }
    return frozenset(found)


def _find_makers(node: ast.AST, above: str) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from _find_makers(child, f"{above}.{child.name}" if above else child.name)
            continue
        if isinstance(child, ast.Call) and getattr(child.func, "id", "") in MAKERS:
            yield above
        yield from _find_makers(child, above)
