"""Measure the app and, for comparison, two scripts, and count the app's requests at the default
budgets (`make bench`).

Everything runs on this machine over loopback. A measurement that exceeds its time limit is recorded
as failed. `BENCH=quick` skips the longest measurements. The results are in var/bench/results.json.
`bench_report.py` makes tables and charts from that file, later also with `--report-only`.
"""

import argparse
import asyncio
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any

from local_cloud.stack import ROOT
from tests.performance.bench_report import write_report
from tests.performance.large_environment import HELD_BACK, read_definition_texts
from tests.performance.over_the_wire import (
    Run,
    migrate_with_app,
    migrate_with_script,
    read_with_cli_microsoft365,
)
from tests.performance.planning_time import measure_planning_time
from tests.performance.remediation_figures import open_simulated_run
from tests.performance.test_approvable_plan import FOR_EACH_APP, build_large_tenant
from tests.performance.test_requests_of_network_check import count_requests_to_verify

RESULTS = ROOT / "var" / "bench" / "results.json"
M365_MODULES = ROOT / "var" / "third-party-clients" / "node_modules"
#: What every run together may take, and any one of them.
LONGEST_SECONDS = 29 * 60
LONGEST_RUN_SECONDS = 10 * 60
#: One flow after the other, the script is slow and grows in a straight line: scaled from these.
BY_HAND = 50
#: Flows that the other script migrates at the same time.
AT_ONCE = 8
IN_ONE_APP = 10
CALL_SECONDS = 0.05

type Result = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Step:
    """A measurement with its name and its time limit."""

    what: str
    arguments: Result
    measure: Callable[[], Awaitable[Result]]


def _list_steps() -> Iterator[Step]:
    """Yield the measurements, the longest ones last."""
    for seconds in (0.0, CALL_SECONDS):
        yield _build_wire_step(
            "hand", migrate_with_script, Run(flows=BY_HAND, call_seconds=seconds)
        )
    one_app = Run(flows=IN_ONE_APP, flows_per_app=IN_ONE_APP, call_seconds=CALL_SECONDS)
    yield _build_wire_step("hand, one app", migrate_with_script, one_app)
    yield _build_wire_step("app, one app", migrate_with_app, one_app)
    if (M365_MODULES / "@pnp").is_dir():
        run = Run(flows=BY_HAND, call_seconds=CALL_SECONDS)
        yield _build_wire_step(
            "cli", lambda run: read_with_cli_microsoft365(run, M365_MODULES), run
        )
    for flows in (30, 100, 300):
        yield _build_network_step(flows)
    yield Step("plan", {"flows": HELD_BACK}, _measure_plan)
    yield Step("planning time", {"flows": len(read_definition_texts())}, _measure_planning_time)
    for flows in (10, 100):
        yield _build_simulated_step("default", flows)
        yield _build_parallel_step(flows)
        for seconds in (0.0, CALL_SECONDS):
            yield _build_wire_step("app", migrate_with_app, Run(flows=flows, call_seconds=seconds))
    yield _build_simulated_step("learnt", 100, "--takes", "1000")
    for processes in (2, 4):
        run = Run(flows=100, call_seconds=CALL_SECONDS, processes=processes)
        yield _build_wire_step("app", migrate_with_app, run)
    yield _build_parallel_step(1000)
    yield _build_wire_step("app", migrate_with_app, Run(flows=1000, call_seconds=CALL_SECONDS))


def _build_parallel_step(flows: int) -> Step:
    run = Run(flows=flows, call_seconds=CALL_SECONDS, at_once=AT_ONCE)
    return _build_wire_step("parallel hand", migrate_with_script, run)


def _list_long_steps() -> Iterator[Step]:
    """Yield the measurements that a quick run skips."""
    yield _build_simulated_step("default", 1000)
    yield _build_wire_step("app", migrate_with_app, Run(flows=1000))
    for processes in (2, 4):
        for seconds in (CALL_SECONDS, 0.0):
            run = Run(flows=1000, call_seconds=seconds, processes=processes)
            yield _build_wire_step("app", migrate_with_app, run)


def _build_wire_step(what: str, mover: Callable[[Run], Awaitable[Any]], run: Run) -> Step:
    async def measure() -> Result:
        return asdict(await mover(run))

    return Step(what, asdict(run), measure)


def _build_network_step(flows: int) -> Step:
    async def measure() -> Result:
        return {
            "calls_per_flow": await count_requests_to_verify(flows, timedelta(seconds=1)) / flows
        }

    return Step("network", {"flows": flows}, measure)


async def _measure_plan() -> Result:
    async with open_simulated_run(build_large_tenant()) as moved:
        plan = await moved.start_and_plan()
        routes = moved.scenario.tenant.calls.routes
        return asdict(plan) | {"calls_for_each_app": sum(routes[route] for route in FOR_EACH_APP)}


async def _measure_planning_time() -> Result:
    times = await asyncio.to_thread(measure_planning_time, read_definition_texts())
    return {"times_the_decoding": times, "is_public": "FLOW_CORPUS" in os.environ}


def _build_simulated_step(what: str, flows: int, *more: str) -> Step:
    """Return a measurement in simulated time.

    It runs in a separate process, which is ended at the time limit.
    """
    module = "tests.performance.remediation_figures"

    async def measure() -> Result:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", module, "--flows", str(flows), "--json", *more,
            cwd=ROOT, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            output, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            raise RuntimeError(f"{module} ended with {process.returncode}")
        counted: Result = json.loads(output)
        return counted

    return Step(what, {"flows": flows}, measure)


async def _run_steps(*, quick: bool) -> None:
    until = time.monotonic() + LONGEST_SECONDS
    results: list[Result] = []
    document = {**_describe_machine(), "results": results}
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    for step in chain(_list_steps(), () if quick else _list_long_steps()):
        began = time.monotonic()
        result = {"what": step.what, **step.arguments, "load": round(os.getloadavg()[0], 1)}
        try:
            async with asyncio.timeout(min(until - began, LONGEST_RUN_SECONDS)):
                result |= await step.measure()
        except TimeoutError:
            result["failed"] = "its time was over"
        except (RuntimeError, OSError) as err:
            result["failed"] = str(err)
        took = time.monotonic() - began
        told = result.get("failed") or f"{took:.0f} s"
        print(f"{step.what} {step.arguments}: {told}", flush=True)
        results.append(result)
        RESULTS.write_text(json.dumps(document, indent=1))


def _describe_machine() -> Result:
    model = [
        line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
    ]
    return {
        "commit": subprocess.check_output(
            ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, text=True
        ).strip(),
        "at": f"{datetime.now(UTC):%d %B %Y, %H:%M} UTC",
        "processors": os.cpu_count(),
        "model": model[0].partition(":")[2].strip() if model else platform.machine(),
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 1),
    }


def main() -> None:
    """Run the measurements unless `--report-only` is given, and write the report."""
    parser = argparse.ArgumentParser(prog="python -m tests.performance.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="1,000 flows once only")
    parser.add_argument("--report-only", action="store_true", help="of the results that are there")
    asked = parser.parse_args()
    if not asked.report_only:
        asyncio.run(_run_steps(quick=asked.quick))
    write_report(json.loads(RESULTS.read_text()))


if __name__ == "__main__":
    main()
