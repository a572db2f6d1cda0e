"""`cmkflow assess show` in front of the app's own handlers: table, JSON, page, and what it
refuses.
"""

import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from html import escape, unescape
from pathlib import Path
from typing import Any

import pytest

from cmkflow.assessment_page import page_of
from shared.bootstrap import provide, services
from shared.domain.jobs.environment_states import EnvironmentJobState
from tests.fakes.builder import Builder
from tests.fakes.driver import Driver
from tests.fakes.ports import fakes_of
from tests.fakes.services import services_of
from tests.fakes.test_world import World
from tests.functional.cli.cli_app import CommandLine, deliver_messages

NAME = "Orders <script>alert(1)</script>"


@pytest.fixture
async def build(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Builder]:
    """A tenant of one environment with a called flow that has a parent and two callers."""
    world = World()
    build = Builder(world)
    orders = build.http_flow(NAME)
    build.parent("Nightly", orders)
    build.secret_caller(orders)
    build.flow_caller(orders)
    world.traffic.beat(world)
    fakes = fakes_of(world)
    provide(services_of(fakes.ports))
    monkeypatch.setattr("cmkflow.assess.LOOKS", (0.01,))
    async with deliver_messages(Driver(fakes=fakes)):
        yield build


async def test_table_names_flows_reasons_and_recommendations(
    cli: CommandLine, build: Builder
) -> None:
    """The table shows names from the tenant as plain text."""
    done = await cli.run("assess", "show", "--environment", build.environment.id)

    assert done.exit_code == 0, done.output
    for text in (NAME, "Nightly", "needs a copy with a new URL", "flows to copy"):
        assert text in done.output
    for flow in build.world.flows():
        if flow.name in (NAME, "Nightly"):  # `--flow` takes the id
            assert f"{flow.workflow_id}  {flow.name}" in done.output


@pytest.mark.usefixtures("build")
async def test_page_is_self_contained_and_contains_no_signature(
    cli: CommandLine, tmp_path: Path
) -> None:
    """The page is one file without external addresses, and names in it are escaped."""
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
    """The assessments of the API are under `items`."""
    done = await cli.run("assess", "show", "--all", "-o", "json")

    (item,) = json.loads(done.stdout)["items"]
    assert item["environment_id"] == build.environment.id
    assert [flow["display_name"] for flow in item["flows"]] == ["Nightly", NAME]


@pytest.mark.parametrize("output", ["json", "tsv", "csv"])
async def test_query_and_output_formats_apply_to_assessments(
    cli: CommandLine, build: Builder, output: str
) -> None:
    """The command accepts the name of the environment and the options of other commands."""
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
    """An error in one of several environments does not hide the others."""
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
    """No environment, and `--all` together with one, are rejected."""
    assert (await cli.run("assess", "show")).exit_code == 2
    assert (await cli.run("assess", "show", "--all", "--environment", "x")).exit_code == 2


async def test_several_environments_share_a_caller_search(cli: CommandLine, build: Builder) -> None:
    """The second assessment uses the search of the first, so both have the same search time."""
    other = Builder(build.world, name="Second")
    other.http_flow("Invoices")

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


def build_unread_assessment(**more: Any) -> dict[str, Any]:
    """Return the assessment of an environment of which nothing could be read."""
    estimate = {
        "copies": 0,
        "callers": 0,
        "manual_callers": 0,
        "url_holder_count": 0,
        "requests": 0,
        "minutes": 0,
        "no_call_days": 0,
        "share_of_daily_pool": 0.0,
        "unknown_reason": "Not all flows could be read, so the effort may be higher.",
    }
    return {
        "environment_id": "e",
        "display_name": "Silent",
        "assessed_at": "2026-03-02T09:00:00Z",
        "phase": "before_key",
        "flow_count": None,
        "flows": [],
        "sections": [],
        "estimate": estimate,
        "callers_searched_at": None,
    } | more


def test_page_of_an_unread_environment_shows_no_zero() -> None:
    """A zero would suggest that no flow needs a copy."""
    page = page_of([build_unread_assessment(phase="unknown")])

    assert "could not be read" in page
    assert "<dt>Work</dt><dd>unknown</dd>" in page
    assert "No flow needs a copy" not in page


@pytest.mark.parametrize(
    ("found", "answer"),
    [
        ({"eligibility": ["ok"], "key": ["ok", "warning"]}, "Yes."),
        (
            {"eligibility": ["ok"], "key": ["ok"], "network": ["problem", "problem"]},
            "Yes, but 2 problems must be fixed.",
        ),
        (
            {"eligibility": ["ok"], "key": ["problem", "unknown"]},
            "No. Fix 1 problem of the environment or the key first.",
        ),
        (
            {"eligibility": ["problem", "problem"], "key": ["ok"]},
            "No. Fix 2 problems of the environment or the key first.",
        ),
        ({"eligibility": ["unknown"], "key": ["ok"]}, "Unknown: the platform"),
        ({}, "Unknown: the platform"),
    ],
)
def test_page_begins_with_the_answer_whether_the_key_can_be_applied(
    found: dict[str, list[str]], answer: str
) -> None:
    """A firewall does not affect the answer, and a missing finding is no yes."""
    sections = [
        {
            "topic": topic,
            "findings": [{"level": level, "message": "t", "fix": ""} for level in levels],
        }
        for topic, levels in found.items()
    ]

    page = page_of([build_unread_assessment(sections=sections, flow_count=3)])

    assert find_answer(page).startswith(answer)


def find_answer(page: str) -> str:
    """Return the answer to the question in the page's title, with the words after it."""
    said = re.search(
        r"<h1>(?:Can the key be applied to|Is every flow of) [^<]+</h1>"
        r".*?<h2>.*?<span>([^<]+)</span></h2>\s*<p>([^<]*)",
        page,
        re.DOTALL,
    )
    assert said is not None
    return unescape(f"{said[1]} {said[2]}")


def build_finding(level: str, code: str = "code", subject: str = "", message: str = "t") -> Any:
    """Return the finding of a check."""
    return {"level": level, "code": code, "subject": subject, "message": message, "fix": "Do it."}


def build_section(topic: str, *findings: Any) -> dict[str, Any]:
    """Return a section."""
    return {"topic": topic, "findings": list(findings)}


READY = (
    build_section("eligibility", build_finding("ok")),
    build_section("key", build_finding("ok")),
)


def test_answer_counts_flows_firewalls_and_problems() -> None:
    """One sentence counts what is certain, and the next one what is not."""
    network = build_section(
        "network",
        *(build_finding("problem", "firewall", f"nsg-{number}") for number in range(4)),
        build_finding("unknown", "firewall", "afw"),
        build_finding("problem"),
        build_finding("unknown"),
    )
    flows = [FLOW | {"stays_on_microsoft_key": True}] * 32 + [
        FLOW | {"stays_on_microsoft_key": None}
    ]

    before = page_of(
        [build_unread_assessment(sections=[*READY, network], flows=flows, flow_count=41)]
    )
    after = page_of(
        [build_unread_assessment(phase="after_key", sections=[], flows=flows[:1], flow_count=41)]
    )

    assert find_answer(before).startswith(
        "Yes, but 32 flows stay on Microsoft's key, 4 firewalls deny the new addresses and 1 more "
        "problem must be fixed. Not sure: 1 flow may stay on Microsoft's key, 1 firewall may deny "
        "the new addresses and 1 fact is unknown."
    )
    assert find_answer(after).startswith("The key is applied, but 1 flow stays on Microsoft's key.")


RETIRED = FLOW | {
    "stays_on_microsoft_key": True,
    "microsoft_key_reasons": ["parent_of_microsoft_key_flow"],
    "remediation_status": "retired",
    "recommendations": ["Delete it: `cmkflow deletion schedule r --date DATE`."],
}


@pytest.mark.parametrize(
    ("flows", "findings", "answer"),
    [
        (
            [RETIRED] * 29,
            [],
            "Yes: no flow needs a remediation; 29 retired originals remain on Microsoft's key. ",
        ),
        (
            [RETIRED],
            [build_finding("unknown")],
            (
                "Yes: no flow needs a remediation; 1 retired original remains on Microsoft's key. "
                "Not sure: 1 fact is unknown."
            ),
        ),
        (
            [RETIRED],
            [build_finding("problem", "firewall", "nsg")],
            (
                "The key is applied, but 1 firewall denies the new addresses; no flow needs a "
                "remediation; 1 retired original remains on Microsoft's key."
            ),
        ),
        (
            [
                RETIRED,
                RETIRED | {"remediation_status": "deletion_scheduled"},
                RETIRED | {"remediation_status": "in_progress"},
                RETIRED | {"remediation_status": "action_required"},
                RETIRED | {"remediation_status": "unknown"},
            ],
            [build_finding("problem", "flows_in_remediation"), build_finding("problem")],
            (
                "The key is applied, but 1 flow stays on Microsoft's key, 1 flow needs an action "
                "in a remediation, 1 flow is in progress in a remediation and 1 more problem must "
                "be fixed; 2 retired originals remain on Microsoft's key."
            ),
        ),
    ],
)
def test_answer_counts_retired_originals_apart(
    flows: list[Any], findings: list[Any], answer: str
) -> None:
    """An original with a working copy needs no remediation."""
    sections = [build_section("network", *findings)] if findings else []

    page = page_of(
        [build_unread_assessment(phase="after_key", sections=sections, flows=flows, flow_count=60)]
    )

    assert find_answer(page).startswith(answer)


def test_deletion_of_retired_originals_is_the_last_and_optional_to_do() -> None:
    """What is in progress is no to-do; what a person must act on is one."""
    flows = [
        *[RETIRED] * 29,
        RETIRED | {"remediation_status": "deletion_scheduled"},
        RETIRED | {"remediation_status": "in_progress"},
        RETIRED | {"display_name": "Invoices", "remediation_status": "action_required"},
    ]

    found = build_unread_assessment(phase="after_key", flows=flows, flow_count=64)
    found["estimate"] = found["estimate"] | {"unknown_reason": ""}

    page = page_of([found])

    assert re.findall(r"<h3>(\d+\. [^<]+)</h3>", page) == [
        "1. Act on 1 flow of a remediation",
        "2. Optional: schedule the deletion of 29 retired originals",
    ]
    parts = re.findall(r'<b class="num">.*?</svg>(\d+)</b><span>([^<]+)<', page)
    assert parts == [
        ("32", "are on your key"),
        ("1", "is in progress"),
        ("1", "needs an action"),
        ("30", "are retired; their copies work"),
    ]
    assert "2 flows stay or may stay on Microsoft&#39;s key" in page
    assert "30 retired originals remain on Microsoft&#39;s key" in page
    assert "Runs a child flow on Microsoft&#39;s key: 1 flow" in page
    assert "Retired: 29 flows" in page
    assert "What the remediation will take" not in page


def test_answer_is_not_a_plain_yes_while_something_is_unknown() -> None:
    """An unread fact may be a problem."""
    sections = [*READY, build_section("connections", build_finding("unknown"))]

    page = page_of([build_unread_assessment(sections=sections, flow_count=3)])

    assert find_answer(page).startswith("Yes, but 1 fact is unknown. ")


def test_to_dos_are_numbered_and_broken_callers_are_first() -> None:
    """The smallest effort comes next, and each flow and firewall is named."""
    caller = {"kind": "app_setting", "label": "setting URL", "manual_reason": "", "is_broken": True}
    flow = FLOW | {"stays_on_microsoft_key": True, "recommendations": ["Copy it."]}
    flows = [
        flow | {"callers": [caller], "microsoft_key_reasons": ["http_trigger"]},
        flow | {"display_name": "Bought", "is_managed": True},
        flow | {"display_name": "V1", "microsoft_key_reasons": ["list_flows_as_admin_v1"]},
    ]
    firewalls = [build_finding("problem", "firewall", name) for name in ("nsg-a", "nsg-b")]
    sections = [
        *READY,
        build_section("flows", build_finding("problem", "retired_url")),
        build_section("network", *firewalls),
        build_section("canvas_apps", build_finding("problem")),
        build_section("connections", build_finding("unknown")),
    ]
    found = build_unread_assessment(sections=sections, flows=flows, flow_count=5)
    found["estimate"] = found["estimate"] | {"copies": 3, "no_call_days": 7}

    page = page_of([found])

    assert re.findall(r"<h3>(\d+\. [^<]+)</h3>", page) == [
        "1. 1 caller is broken today",
        "2. Agree on a date with the makers of 1 canvas app",
        "3. Change 1 flow before the key is applied",
        "4. Ask the publishers of 1 flow",
        "5. Allow the new addresses in 2 firewalls",
        "6. Check 1 fact yourself",
        "7. Start a remediation after the key is applied: it copies 3 flows",
    ]
    assert "nsg-a, nsg-b: copies cannot call through them before." in page
    parts = re.findall(r'<b class="num">.*?</svg>(\d+)</b><span>([^<]+)<', page)
    assert parts == [
        ("2", "move automatically when the key is applied"),
        ("1", "is copied after the key"),
        ("1", "is better changed now"),
        ("1", "needs its publisher"),
    ]


def test_problem_of_the_key_is_the_first_to_do() -> None:
    """The problem of the key precedes broken callers."""
    sections = [
        READY[0],
        build_section("key", build_finding("problem", message="The key is disabled.")),
    ]

    page = page_of([build_unread_assessment(sections=sections, flow_count=0)])

    assert "1. Fix 1 problem of the environment or the key" in page
    assert "The key is disabled. <b>Do it.</b>" in page


def test_flows_with_the_same_reason_and_recommendation_share_one_text() -> None:
    """The recommendation is not repeated for each flow."""
    alike = FLOW | {"stays_on_microsoft_key": True, "recommendations": ["Copy it with care."]}
    flows = [alike | {"display_name": f"Flow {number}"} for number in range(12)]

    page = page_of([build_unread_assessment(flows=flows, flow_count=12)])

    assert page.count("Copy it with care.") == 1
    assert "No reason found: 12 flows" in page


def test_each_environment_has_its_answer_and_every_link_has_a_target() -> None:
    """The links are fragments of the page, so that a reload keeps the position."""
    sections = [build_section("key", build_finding("problem"))]

    page = page_of(
        [
            build_unread_assessment(sections=sections),
            build_unread_assessment(phase="after_key", display_name="B"),
        ]
    )

    assert page.index("No. Fix 1 problem") < page.index("The key is applied") < page.index("<h2")
    fragments = set(re.findall(r'href="#([^"]+)"', page))
    assert {"e1", "e2"} <= fragments
    assert fragments <= set(re.findall(r'id="([^"]+)"', page))


async def test_assessment_is_started_without_waiting_and_shown_later(
    cli: CommandLine, build: Builder
) -> None:
    """With `--no-wait` the command prints the id, and `--resume` shows the assessment."""
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
    """Ctrl-C ends only the wait, and the assessment continues."""

    def interrupted(_seconds: float) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("cmkflow.assess.time.sleep", interrupted)
        stopped = await cli.run("assess", "show", "--environment", build.environment.id)
    (hint,) = [line for line in stopped.stderr.splitlines() if "--resume" in line]
    later = await cli.run("assess", "show", "--resume", hint.split()[-1])

    assert stopped.exit_code == 130
    assert "not started yet" in stopped.stderr
    assert NAME in later.output


async def test_cancelled_assessment_exits_with_1(cli: CommandLine, build: Builder) -> None:
    """It was cancelled: exit code 1, as for any environment that could not be assessed."""
    done = await cli.run("assess", "show", "--environment", build.environment.id, "--no-wait")
    identity = done.output.split()[-1]
    await cli.run("assess", "show", "--resume", identity)
    (job,) = await services().tables.environment_jobs.all(identity)
    cancelled = replace(job, state=EnvironmentJobState.CANCELLED, answer="")
    await services().tables.environment_jobs.upsert(cancelled)

    done = await cli.run("assess", "show", "--resume", identity)

    assert done.exit_code == 1
    assert "The assessment is cancelled" in done.stderr


def test_page_of_two_thousand_flows_is_one_file_with_a_folded_table() -> None:
    """The page shows a text that the flows share only once."""
    common = {
        "stays_on_microsoft_key": True,
        "message": "It starts from an HTTP request.",
        "run_only_users": "Unknown: the platform has no API for it.",
    }
    flows = [
        FLOW | common | {"workflow_id": f"w{number}", "display_name": f"Flow {number}"}
        for number in range(2_000)
    ]

    page = page_of([build_unread_assessment(flows=flows, flow_count=2_000)])
    few = page_of([build_unread_assessment(flows=flows[:20], flow_count=20)])

    assert page.count("It starts from an HTTP request.") == 1
    assert page.count("the platform has no API for it") == 1
    assert page.count('<th scope="row">Flow ') == 2_000
    assert "<summary>Flows <span" in page
    assert "<summary>Flows <span" not in few
    assert len(page.encode()) <= 700_000


def test_page_of_two_thousand_retired_originals_names_each_without_details() -> None:
    """More than ten are folded. Why they stayed no longer matters."""
    common = {
        "stays_on_microsoft_key": True,
        "is_on": False,
        "message": "It starts from an HTTP request.",
        "remediation_status": "retired",
        "recommendations": ["Schedule its deletion."],
    }
    flows = [
        FLOW | common | {"workflow_id": f"w{number}", "display_name": f"Flow {number}"}
        for number in range(2_000)
    ]

    page = page_of([build_unread_assessment(flows=flows, flow_count=2_000)])
    few = page_of([build_unread_assessment(flows=flows[:10], flow_count=10)])

    assert "It starts from an HTTP request." not in page
    assert page.count("<code>w") == 2_000
    assert ">off<" not in page
    assert "<summary>Originals <span" in page
    assert "<summary>Originals <span" not in few
    assert len(page.encode()) <= 300_000
