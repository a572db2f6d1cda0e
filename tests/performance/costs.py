"""Generate the table of docs/costs.md: the operations of a month, and what they cost at given
prices.

    python -m tests.performance.costs

The operations of the timers are counted on the fakes. `make bench` counts those of a flow
(docs/performance.md). The prices are assumptions: replace them with those of your agreement.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path

from shared.domain.environment import ApprovalPolicy
from shared.services import Services
from shared.use_cases.delete_originals import delete_originals
from shared.use_cases.notify import notify
from shared.use_cases.poll_environments import poll_environments
from shared.use_cases.report_metrics import report_metrics
from shared.use_cases.run_daily_check import run_daily_check
from shared.use_cases.send_due_and_overdue_messages import send_due_and_overdue_messages
from tests.functional.scenarios.remediation_scenario import Scenario
from tests.generated_tables import with_tables
from tests.performance.remediation_figures import Counted
from tests.unit.deployed import find_resources

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "costs.md"
PERFORMANCE = ROOT / "docs" / "performance.md"
TEMPLATE = ROOT / "infra" / "modules" / "function-app.bicep"
DAYS = 30
#: Flows that are migrated in the month of each column.
MONTHS = (0, 1_000, 10_000)
MILLION = 1_000_000
#: Meters whose field does not read as their name.
NAMES = {
    "gigabyte_seconds": "Functions: GB-seconds",
    "executions": "Functions: executions",
    "service_bus_base": "Service Bus Standard",
    "service_bus_operations": "Service Bus operations",
    "key_vault_operations": "Key Vault operations",
    "log_gigabytes": "Application Insights: GB",
    "alert_rules_of_logs": "Log alert rules (one of 5 minutes counts as three)",
    "alert_rules_of_metrics": "Metric alert rules",
    "power_automate_premium": "Power Automate Premium licence",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """A price in US dollars for a number of units. The first units are free."""

    dollars: float
    units: float
    free: float = 0

    def compute_dollars(self, units: float) -> float:
        return max(0.0, units - self.free) * self.dollars / self.units


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """List prices for a month in a US region, one for each meter of the bill."""

    gigabyte_seconds: Price = Price(dollars=0.000026, units=1, free=100_000)
    executions: Price = Price(dollars=0.40, units=MILLION, free=250_000)
    service_bus_base: Price = Price(dollars=10, units=1)
    service_bus_operations: Price = Price(dollars=0.80, units=MILLION, free=13 * MILLION)
    table_operations: Price = Price(dollars=0.036, units=MILLION)
    blob_operations: Price = Price(dollars=5, units=MILLION)
    key_vault_operations: Price = Price(dollars=3, units=MILLION)
    log_gigabytes: Price = Price(dollars=2.30, units=1, free=5)
    alert_rules_of_logs: Price = Price(dollars=0.50, units=1)
    alert_rules_of_metrics: Price = Price(dollars=0.10, units=1)
    power_automate_premium: Price = Price(dollars=15, units=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumed:
    """What each execution of a function needs that tests cannot count."""

    seconds: float = 1
    #: Memory of an instance, as in infra/modules/function-app.bicep.
    gigabytes: float = 2
    #: Receive, complete and send of a message; and the host's leases of a timer.
    service_bus_operations: float = 4
    blob_operations: float = 4
    key_vault_operations: float = 0.1
    log_kilobytes: float = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Counted operations of all timers in a month and of one migrated flow, and the numbers of
    alert rules.
    """

    timer_runs: float
    timer_table_operations: float
    flow_messages: float
    flow_table_operations: float
    #: Log alert rules, in rules that are evaluated every 15 minutes or more seldom.
    log_rules: float
    metric_rules: float


async def _poll_environments(services: Services) -> None:
    await report_metrics(services)
    await poll_environments(services)


async def _run_daily_check(services: Services) -> None:
    await run_daily_check(services, f"{services.now:%Y-%m-%d}")


async def _send_due_messages(services: Services) -> None:
    await send_due_and_overdue_messages(services)


async def _send_notifications(services: Services) -> None:
    await notify(services)


async def _delete_originals(services: Services) -> None:
    await delete_originals(services)


#: Setting with the schedule → what each of its timers does, as in functions/timers.py.
TIMERS: Mapping[str, tuple[Callable[[Services], Awaitable[None]], ...]] = {
    "CMK_POLICY_LINK_POLL_SCHEDULE": (_poll_environments,),
    "CMK_DAILY_CHECK_SCHEDULE": (_run_daily_check,),
    "CMK_DUE_MESSAGES_SCHEDULE": (_send_due_messages, _send_notifications),
    "CMK_DELETION_SCHEDULE": (_delete_originals,),
}


async def count_operations() -> Counts:
    """Return the counts for a tenant with one environment under an enterprise policy and no
    flow.
    """
    scenario = Scenario(mode=ApprovalPolicy.AUTOMATIC)
    scenario.build.apply_key()
    await scenario.opt_in()
    await _poll_environments(scenario.services)
    schedules = dict(re.findall(r"^  (CMK_\w+): '(.+)'$", TEMPLATE.read_text(), re.MULTILINE))
    runs = operations = 0
    for setting, timers in TIMERS.items():
        month = count_runs(schedules[setting])
        for run in timers:
            services = scenario.services
            store = Counted(services.tables.store)
            await run(replace(services, tables=type(services.tables)(store)))
            runs += month
            operations += month * (store.reads + store.writes)
    rules = [one["properties"] for one in find_resources("Microsoft.Insights/scheduledQueryRules")]
    return Counts(
        timer_runs=runs,
        timer_table_operations=operations,
        flow_messages=read_measured("messages a flow"),
        flow_table_operations=read_measured("reads of the store a flow")
        + read_measured("writes of the store a flow"),
        log_rules=sum(3 if one["evaluationFrequency"] == "PT5M" else 1 for one in rules),
        metric_rules=len(find_resources("Microsoft.Insights/metricAlerts")),
    )


def count_runs(schedule: str) -> int:
    """Return how often a timer runs in a month by a schedule of six fields.

    Raises `ValueError` for a schedule that does not apply to every day.
    """
    second, minute, hour, *days = schedule.split()
    if not second.isdigit() or days != ["*", "*", "*"]:
        raise ValueError(f"the runs of {schedule} are not counted")
    return DAYS * _count_values(minute, 60) * _count_values(hour, 24)


def _count_values(part: str, most: int) -> int:
    if part.isdigit():
        return 1
    return most // int(part.removeprefix("*").removeprefix("/") or 1)


def read_measured(what: str) -> float:
    """Return a number that docs/performance.md has from `make bench` with 1,000 flows."""
    [row] = re.findall(rf"^\| {what} \| (.+?) \|", PERFORMANCE.read_text(), re.MULTILINE)
    [value] = re.findall(r"([\d.]+) \(1,000\)", row)
    return float(value)


def compute_units(counts: Counts, flows: int, assumed: Assumed) -> dict[str, float]:
    """Return the units of each meter in a month in which this number of flows is migrated."""
    messages = flows * counts.flow_messages
    runs = counts.timer_runs + messages
    return {
        "gigabyte_seconds": runs * assumed.seconds * assumed.gigabytes,
        "executions": runs,
        "service_bus_base": 1,
        "service_bus_operations": messages * assumed.service_bus_operations,
        "table_operations": counts.timer_table_operations + flows * counts.flow_table_operations,
        "blob_operations": runs * assumed.blob_operations,
        "key_vault_operations": runs * assumed.key_vault_operations,
        "log_gigabytes": runs * assumed.log_kilobytes / MILLION,
        "alert_rules_of_logs": counts.log_rules,
        "alert_rules_of_metrics": counts.metric_rules,
        "power_automate_premium": 1,
    }


def with_table(text: str, counts: Counts) -> str:
    tables = {"costs": _format_costs(counts), "assumptions": _format_assumptions()}
    return with_tables(text, "tests.performance.costs", tables)


def _format_costs(counts: Counts) -> Iterator[str]:
    months = [compute_units(counts, flows, Assumed()) for flows in MONTHS]
    header = ["no remediation", *(f"{flows:,} flows migrated" for flows in MONTHS[1:])]
    yield f"| In a month | {' | '.join(header)} |"
    yield "|---|---|---|---|"
    totals = [0.0] * len(months)
    for field in fields(Prices):
        price: Price = getattr(Prices(), field.name)
        dollars = [price.compute_dollars(month[field.name]) for month in months]
        totals = [total + one for total, one in zip(totals, dollars, strict=True)]
        cells = [
            f"${one:,.2f} ({format_units(month[field.name])})"
            for one, month in zip(dollars, months, strict=True)
        ]
        yield f"| {format_name(field.name)} | {' | '.join(cells)} |"
    yield f"| **Total** | {' | '.join(f'**${total:,.0f}**' for total in totals)} |"


def _format_assumptions() -> Iterator[str]:
    yield "| Meter | List price | Free in a month |"
    yield "|---|---|---|"
    for field in fields(Prices):
        price: Price = getattr(Prices(), field.name)
        free = format_units(price.free) if price.free else ""
        units = "" if price.units == 1 else f" for {format_units(price.units)}"
        yield f"| {format_name(field.name)} | ${price.dollars:g}{units} | {free} |"


def format_name(name: str) -> str:
    return NAMES.get(name, name.replace("_", " ").capitalize())


def format_units(units: float) -> str:
    if units >= MILLION:
        return f"{units / MILLION:,.1f} million"
    return f"{units:,.0f}" if units >= 10 or units == int(units) else f"{units:.1f}"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(), asyncio.run(count_operations())))
