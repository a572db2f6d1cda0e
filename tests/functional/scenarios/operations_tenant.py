"""Build a tenant with the flows of a company, for pictures and page tests."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

from shared.domain.power_apps import CanvasApp
from tests.fakes import definition_builder as define
from tests.fakes.builder import Builder
from tests.functional.scenarios.app_calls import TRIGGERS
from tests.functional.scenarios.remediation_scenario import Scenario
from tests.kinds.case import HOST
from tests.kinds.cases import load_firewall_case

#: Microsoft's ranges before and after a key is applied.
_PREFIXES = {
    "PowerPlatformPlex.WestEurope": ["20.61.88.128/26", "172.199.131.64/26"],
    "PowerPlatformPlex.NorthEurope": ["4.207.189.192/26"],
    "LogicApps.WestEurope": ["13.69.71.0/25"],
    "LogicApps.NorthEurope": ["13.69.231.160/27"],
}
#: Firewalls that deny the new ranges: kind, name and the host behind it.
_FIREWALLS = (
    ("network_security_group", "nsg-erp", "erp.contoso.example"),
    ("app_service", "pricing-api", "pricing.contoso.example"),
)
_HOSTS = {name: host for _, name, host in _FIREWALLS}
_TASKS = (
    "Book invoice",
    "Send invoice copy",
    "Approve travel",
    "Request a vendor",
    "Close a complaint",
    "Reserve a meeting room",
    "Publish the weekly report",
    "Archive signed contracts",
    "Notify the night shift",
)
_SITES = ("Antwerp", "Berlin", "Dublin", "Gothenburg", "Lyon", "Milan", "Porto", "Zürich")
#: The number of flows of one site.
SITE_SIZE = 30


@dataclass(slots=True)
class _Site:
    build: Builder
    number: int

    def format_flow_name(self, title: str) -> str:
        if not self.number:
            return title
        round_, site = divmod(self.number - 1, len(_SITES))
        return f"{title} {_SITES[site]}{f' {round_ + 1}' if round_ else ''}"

    def add_blocked(self) -> None:
        for title, firewall in (("Post to ERP", "nsg-erp"), ("Read prices", "pricing-api")):
            action = define.build_http_action(f"https://{_HOSTS[firewall]}/")
            self.build.add_http_flow(self.format_flow_name(title), {"Call": action})
        self.build.add_admin_list_flow(self.format_flow_name("List flows each day"))

    def add_called(self) -> None:
        build, name = self.build, self.format_flow_name
        build.add_app_setting_caller(
            build.add_http_flow(name("Take bookings")), setting=f"BOOKINGS_URL_{self.number}"
        )
        build.add_secret_caller(
            build.add_http_flow(name("Pay supplier")), name=f"pay-url-{self.number}"
        )
        build.add_variable_caller(
            build.add_http_flow(name("Answer stock level")), schema_name=f"con_Stock{self.number}"
        )
        build.add_flow_caller(
            build.add_http_flow(name("Register a supplier")), name=name("Send the supplier form")
        )
        form = build.add_power_apps_v1_flow(name("Answer the old app"))
        app = CanvasApp(
            name=f"app-{self.number}",
            display_name=name("Requests"),
            owner="Alex Wilber",
            flow_ids=frozenset({form.workflow_id}),
            unknown_reason="",
        )
        build.environment.canvas_apps.append(app)

    def add_others(self) -> None:
        build, name = self.build, self.format_flow_name
        check = build.add_http_flow(
            name("Check credit"), {"Answer": define.build_response_action()}
        )
        confirm = build.add_parent(name("Confirm sale"), check, trigger=define.build_http_trigger())
        build.add_parent(name("Import sales at night"), confirm)
        build.add_parent(
            name("Close of day"),
            *(
                build.add_http_flow(name(f"Close of day {part}"))
                for part in ("cash", "stock", "mail")
            ),
        )
        build.add_keyword_flow(name("Answer a question in Teams"))
        build.add_off_flow(name("Old import"))
        build.add_mail_flow(name("Send the price list"))
        build.add_team_flow(name("Approve discount"))
        build.add_teams_flow(name("Post a card"))
        for task in _TASKS:
            build.add_http_flow(name(task))


async def build_operations(flow_count: int) -> Scenario:
    """Return a scenario with this number of flows on Microsoft's key in one environment. The number
    is rounded down to a multiple of `SITE_SIZE`, or is 3 if it is smaller.
    """
    scenario = Scenario(has_azure_firewalls=True)
    scenario.driver.use_cases = TRIGGERS
    scenario.driver.most_at_once = max(1_000, 100 * flow_count)
    scenario.build.environment.display_name = "Operations"
    scenario.build.owner.name = "Adele Vance"
    for title in ("Customer care", "Finance"):
        other = Builder(scenario.world, name=title)
        for task in islice(_TASKS, 3):
            other.add_http_flow(task)
    if flow_count < SITE_SIZE:
        _Site(scenario.build, 0).add_blocked()
    for number in range(flow_count // SITE_SIZE):
        site = _Site(scenario.build, number)
        for add in (site.add_blocked, site.add_called, site.add_others):
            add()
    scenario.world.service_tags = {name: [*listed] for name, listed in _PREFIXES.items()}
    _allow_tags(scenario, [name for name in _PREFIXES if name.startswith("LogicApps")])
    return scenario


def allow_new_ranges(scenario: Scenario) -> None:
    _allow_tags(scenario, [*_PREFIXES])


async def point_apps_at_copies(scenario: Scenario) -> None:
    copies = {job.original.id: job.copy.id for job in (await scenario.read_jobs()).values()}
    apps = scenario.build.environment.canvas_apps
    apps[:] = [
        replace(app, flow_ids=frozenset(copies.get(one) or one for one in app.flow_ids))
        for app in apps
    ]


def _allow_tags(scenario: Scenario, tags: Sequence[str]) -> None:
    for kind, here, host in _FIREWALLS:
        case = load_firewall_case(kind)
        for path, one in case.resources(tags).items():
            text = json.dumps(one)
            for old, new in ((HOST, host), (HOST.title(), host), (case.name, here)):
                text = text.replace(old, new)
            scenario.world.resources[path.replace(case.name, here).lower()] = json.loads(text)
