import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import pytest

from shared.bootstrap import provide, services
from shared.domain.jobs.environment_states import EnvironmentJobState
from tests.fakes.builder import Builder
from tests.fakes.driver import Driver
from tests.fakes.ports import build_fakes
from tests.fakes.services import build_fake_services
from tests.fakes.world import World
from tests.functional.cli.cli_app import CommandLine, deliver_messages

NAME = "Orders <script>alert(1)</script>"


@pytest.fixture
async def build(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Builder]:
    world = World()
    build = Builder(world)
    orders = build.add_http_flow(NAME)
    build.add_parent("Nightly", orders)
    build.add_secret_caller(orders)
    build.add_flow_caller(orders)
    world.traffic.beat(world)
    fakes = build_fakes(world)
    provide(build_fake_services(fakes.ports))
    monkeypatch.setattr("cmkflow.assess.LOOKS", (0.01,))
    async with deliver_messages(Driver(fakes=fakes)):
        yield build


async def test_table_names_flows_reasons_and_recommendations(
    cli: CommandLine, build: Builder
) -> None:
    done = await cli.run("assess", "show", "--environment", build.environment.id)

    assert done.exit_code == 0, done.output
    for text in (NAME, "Nightly", "needs a copy with a new URL", "flows to copy"):
        assert text in done.output
    for flow in build.world.list_flows():
        if flow.name in (NAME, "Nightly"):  # `--flow` takes the id
            assert f"{flow.workflow_id}  {flow.name}" in done.output


@pytest.mark.usefixtures("build")
async def test_page_is_self_contained_and_contains_no_signature(
    cli: CommandLine, tmp_path: Path
) -> None:
    file = tmp_path / "assessment.html"

    done = await cli.run("assess", "show", "--all", "--html", str(file))

    assert done.exit_code == 0, done.output
    page = file.read_text()
    assert escape(NAME) in page
    assert "<script" not in page
    assert not re.search(r"(src|href)=\"(?!#)", page)
    assert "sig=" not in page
    assert "paths/invoke" not in page


async def test_json_output_contains_all_environments(cli: CommandLine, build: Builder) -> None:
    done = await cli.run("assess", "show", "--all", "-o", "json")

    (item,) = json.loads(done.stdout)["items"]
    assert item["environment_id"] == build.environment.id
    assert [flow["display_name"] for flow in item["flows"]] == ["Nightly", NAME]


@pytest.mark.parametrize("output", ["json", "tsv", "csv"])
async def test_query_and_output_formats_apply_to_assessments(
    cli: CommandLine, build: Builder, output: str
) -> None:
    name = build.environment.display_name
    asked = ("--query", "items[].{name: display_name, flows: length(flows)}", "-o", output)

    done = await cli.run("assess", "show", "--environment", name, *asked)

    told = {
        "json": json.dumps([{"name": name, "flows": 2}]),
        "tsv": f"{name}\t2",
        "csv": f"name,flows\n{name},2",
    }
    assert done.stdout.rstrip("\n") == told[output]


async def test_unknown_environment_exits_with_1_and_others_are_shown(
    cli: CommandLine, build: Builder
) -> None:
    strange = "00000000-0000-4000-8000-00000000dead"
    words = ("assess", "show", "--environment", strange, "--environment", build.environment.id)
    done = await cli.run(*words)
    program = await cli.run(*words, "--query", "failed")

    assert done.exit_code == 1
    assert strange in done.output
    assert NAME in done.output
    assert program.exit_code == 1
    assert json.loads(program.stdout) == [strange]


async def test_environments_are_required(cli: CommandLine) -> None:
    assert (await cli.run("assess", "show")).exit_code == 2
    assert (await cli.run("assess", "show", "--all", "--environment", "x")).exit_code == 2


async def test_several_environments_share_a_caller_search(cli: CommandLine, build: Builder) -> None:
    other = Builder(build.world, name="Second")
    other.add_http_flow("Invoices")

    done = await cli.run("assess", "show", "--all", "-o", "json")

    items = json.loads(done.stdout)["items"]
    assert len(items) == 2, done.output
    assert len({item["callers_searched_at"] for item in items}) == 1


FLOW: dict[str, Any] = {
    "workflow_id": "w",
    "display_name": "Orders",
    "microsoft_key_reasons": [],
    "is_on": True,
    "is_managed": False,
    "is_on_microsoft_key_list": True,
    "message": "",
    "recommendations": [],
    "parent_chains": [],
    "blocks_flows": [],
    "callers": [],
    "callers_unknown_reason": "",
    "owner": "",
    "co_owners": [],
    "co_owners_unknown_reason": "",
    "run_only_users": "",
    "remediation_status": "not_started",
}
RETIRED = FLOW | {
    "stays_on_microsoft_key": True,
    "microsoft_key_reasons": ["parent_of_microsoft_key_flow"],
    "remediation_status": "retired",
    "recommendations": ["Delete it: `cmkflow deletion schedule r --date DATE`."],
}


async def test_assessment_is_started_without_waiting_and_shown_later(
    cli: CommandLine, build: Builder
) -> None:
    ordered = await cli.run("assess", "show", "--environment", build.environment.id, "--no-wait")
    identity = ordered.output.split()[-1]
    later = await cli.run("assess", "show", "--resume", identity)

    assert ordered.exit_code == 0, ordered.output
    assert f"Show it: cmkflow assess show --resume {identity}" in ordered.output
    assert later.exit_code == 0, later.output
    assert NAME in later.output


async def test_interrupted_wait_prints_the_command_to_resume(
    cli: CommandLine, build: Builder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raise_interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("cmkflow.assess.time.sleep", raise_interrupt)
        stopped = await cli.run("assess", "show", "--environment", build.environment.id)
    (hint,) = [line for line in stopped.stderr.splitlines() if "--resume" in line]
    later = await cli.run("assess", "show", "--resume", hint.split()[-1])

    assert stopped.exit_code == 130
    assert "not started yet" in stopped.stderr
    assert NAME in later.output


async def test_cancelled_assessment_exits_with_1(cli: CommandLine, build: Builder) -> None:
    done = await cli.run("assess", "show", "--environment", build.environment.id, "--no-wait")
    identity = done.output.split()[-1]
    await cli.run("assess", "show", "--resume", identity)
    (job,) = await services().tables.environment_jobs.read_all(identity)
    cancelled = replace(job, state=EnvironmentJobState.CANCELLED, answer="")
    await services().tables.environment_jobs.upsert(cancelled)

    done = await cli.run("assess", "show", "--resume", identity)

    assert done.exit_code == 1
    assert "The assessment is cancelled" in done.stderr
