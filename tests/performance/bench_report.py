"""Write the tables and charts of docs/performance.md from the results of `make bench`."""

from collections.abc import Callable, Iterator
from typing import Any

from local_cloud.stack import ROOT
from tests.performance.charts import draw_lines, draw_stacked_bars

DOCUMENT = ROOT / "docs" / "performance.md"
CHARTS = ROOT / "docs" / "charts"
BEGIN, END = "<!-- made by `make bench` -->\n", "<!-- until here -->"
_NAMES = {
    "flow_service": "flow service",
    "dataverse": "Dataverse",
    "resource_manager": "Resource Manager",
    "key_vault": "Key Vault",
    "bap": "admin API",
}
#: Calls of the flow service that the script makes for a flow, and that it is allowed a minute.
_HAND_CALLS, _RATE = 9, 5

_TITLES = {
    "calls": "Calls for each flow",
    "wide": "Time by number of flows, wide budgets, 50 ms a request",
    "default": "Time by number of flows at five requests a minute",
}

type Result = dict[str, Any]


class Results:
    """The results of the measurements. Queries omit the failed ones."""

    def __init__(self, results: list[Result]) -> None:
        self._results = [one for one in results if "failed" not in one]
        self.failed = [one for one in results if "failed" in one]

    def list_results(self, what: str, **about: object) -> list[Result]:
        """Return the results with these values, ordered by the number of flows."""
        found = [
            one
            for one in self._results
            if one["what"] == what and all(one.get(name) == value for name, value in about.items())
        ]
        return sorted(found, key=lambda one: one["flows"])

    def find_result(self, what: str, **about: object) -> Result | None:
        """Return the result with these values, or None if it is missing."""
        return next(iter(self.list_results(what, **about)), None)


def write_report(document: Result) -> None:
    """Write the charts, and replace the tables of docs/performance.md between their two
    comments.
    """
    results = Results(document["results"])
    CHARTS.mkdir(exist_ok=True)
    charts = dict(_draw_charts(results))
    for name, chart in charts.items():
        (CHARTS / f"{name}.svg").write_text(chart)
    before, _, rest = DOCUMENT.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    report = [
        *_format_report(document, results),
        *(f"\n![{title}](charts/{name}.svg)" for name, title in _TITLES.items() if name in charts),
    ]
    DOCUMENT.write_text(before + BEGIN + "\n".join(report) + "\n" + END + after)


def _format_report(document: Result, results: Results) -> Iterator[str]:
    yield (
        f"Measured {document['at']} at {document['commit']} on {document['processors']} processors "
        f"({document['model']}, Python {document['python']}, load {document['load']} before)."
    )
    yield ""
    yield "| What | Measured | Target |"
    yield "|---|---|---|"
    for what, target, measured in _TARGETS:
        yield f"| {what} | {measured(results) or 'not measured'} | {target} |"
    yield ""
    yield from _format_wide_table(results, most_load=document["processors"])
    for one in results.failed:
        yield f"\nNot measured: {one['what']}, {one['flows']} flows: {one['failed']}"


def _format_wide_table(results: Results, *, most_load: float) -> Iterator[str]:
    """Yield the table of runs over the wire, without runs on a busy machine."""
    yield (
        "This table shows runs over the wire, without request budgets and without a no-call"
        " period. The serial script moves 50 flows, and its time is multiplied up to the row's"
        " flows; the parallel script moves all, 8 at a time. CPU in brackets is without the"
        f" local Functions host. Load is the machine's before the run, {most_load} at most:"
    )
    yield ""
    yield (
        "| Flows | A call takes | Processes | Seconds | Times as fast as the serial script "
        "| … as the parallel script | CPU, times the serial script's | Tenant's CPU, s "
        "| Calls for each flow | Load |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for one in results.list_results("app"):
        hand = results.find_result("hand", call_seconds=one["call_seconds"])
        if hand is None or one["load"] > most_load:
            continue
        parallel = _find_parallel_run(results, one)
        yield (
            f"| {one['flows']:,} | {one['call_seconds'] * 1000:.0f} ms | {one['processes']} "
            f"| {one['seconds']:.1f} | {_compute_speed_ratio(one, hand):.1f} "
            f"| {f'{_compute_speed_ratio(one, parallel):.2f}' if parallel else ''} "
            f"| {_compute_cpu_ratio(one, hand):.1f} "
            f"({_compute_cpu_ratio(one, hand, without_host=True):.1f}) "
            f"| {one['tenant_cpu_seconds']:.0f} "
            f"| {_count_requests_per_flow(one):.1f} | {one['load']:.1f} |"
        )
    if (cli := results.find_result("cli")) and (
        hand := results.find_result("hand", call_seconds=0.05)
    ):
        yield ""
        yield (
            f"The script takes {hand['seconds'] / hand['flows']:.2f} s a flow at 50 ms a call; "
            "CLI for Microsoft 365 takes "
            f"{cli['seconds'] / cli['flows']:.2f} s to list and read it."
        )


def _compute_speed_ratio(one: Result, hand: Result) -> float:
    return float(hand["seconds"] / hand["flows"] / (one["seconds"] / one["flows"]))


def _compute_cpu_ratio(one: Result, hand: Result, *, without_host: bool = False) -> float:
    busy = one["cpu_seconds"] - without_host * one["host_cpu_seconds"]
    return float((busy / one["flows"]) / (hand["cpu_seconds"] / hand["flows"]))


def _find_parallel_run(results: Results, app: Result) -> Result | None:
    """Return the run of the parallel script that corresponds to a run of the app."""
    about = {"flows": app["flows"], "call_seconds": app["call_seconds"]}
    return results.find_result("parallel hand", **about)


def _count_requests_per_flow(one: Result) -> float:
    return float(sum(one["calls"].values()) / one["flows"])


def _format_each(results: list[Result], show: Callable[[Result], str]) -> str:
    """Return one value for each result, such as `7.9 (100), 8.0 (1,000)`."""
    return ", ".join(f"{show(one)} ({one['flows']:,})" for one in results)


def _find_app_runs(results: Results) -> list[Result]:
    return results.list_results("app", call_seconds=0.05, processes=1)


def _compare_with_serial_script(results: Results, ratio: Callable[[Result, Result], float]) -> str:
    hand = results.find_result("hand", call_seconds=0.05)
    if hand is None:
        return ""
    return _format_each(_find_app_runs(results), lambda one: f"{ratio(one, hand):.1f}")


def _compare_with_parallel_script(
    results: Results, ratio: Callable[[Result, Result], float]
) -> str:
    return ", ".join(
        f"{ratio(one, parallel):.2f} ({one['flows']:,})"
        for one in _find_app_runs(results)
        if (parallel := _find_parallel_run(results, one))
    )


def _format_plan(results: Results) -> str:
    one = results.find_result("plan")
    if one is None:
        return ""
    calls = one["plan_calls"]
    own = sum(calls.values()) - one["calls_for_each_app"]
    return f"{own}, {calls['flow_service']}, {one['minutes_to_plan']:.0f} minutes"


def _format_planning_time(results: Results) -> str:
    one = results.find_result("planning time")
    if one is None:
        return ""
    kind = "public" if one["is_public"] else "made"
    return f"{one['times_the_decoding']:.1f} ({one['flows']:,} {kind} flows)"


def _format_one_app(results: Results) -> str:
    app, hand = results.find_result("app, one app"), results.find_result("hand, one app")
    if app is None or hand is None:
        return ""
    return (
        f"{_compute_speed_ratio(app, hand):.1f} times as fast, {app['restarts']} restarts; "
        f"the script {hand['restarts']}"
    )


def _build_default_formatter(
    name: str, digits: int = 0, factor: float = 1
) -> Callable[[Results], str]:
    def show(results: Results) -> str:
        return _format_each(
            results.list_results("default"), lambda one: f"{one[name] * factor:.{digits}f}"
        )

    return show


#: What is measured (number of flows in brackets), what it is to be, and how it reads.
_TARGETS: tuple[tuple[str, str, Callable[[Results], str]], ...] = (
    (
        "flow service calls a flow, wide",
        "≤ 8",
        lambda r: _format_each(
            _find_app_runs(r), lambda one: f"{one['calls']['flow_service'] / one['flows']:.1f}"
        ),
    ),
    (
        "all calls a flow, wide",
        "≤ 28",
        lambda r: _format_each(
            _find_app_runs(r), lambda one: f"{_count_requests_per_flow(one):.1f}"
        ),
    ),
    (
        "flow service calls a flow, five a minute",
        "as wide + 10 %",
        lambda r: _format_each(
            r.list_results("default"), lambda one: f"{one['calls']['flow_service']:.1f}"
        ),
    ),
    (
        "all calls a flow, five a minute",
        "as wide + 10 %",
        lambda r: _format_each(
            r.list_results("default"), lambda one: f"{sum(one['calls'].values()):.1f}"
        ),
    ),
    (
        "hours to the end without the no-call period, five a minute",
        "≤ 3 (100)",
        _build_default_formatter("hours", 1),
    ),
    (
        "the same where the flow service rejects none",
        "",
        lambda r: _format_each(r.list_results("learnt"), lambda one: f"{one['hours']:.1f}"),
    ),
    (
        "minutes from the approval to the first updated callers",
        "≤ 10 (100)",
        _build_default_formatter("minutes_to_first_quiet"),
    ),
    (
        "allowed calls that are used while work waits, %",
        "≥ 95",
        _build_default_formatter("share", 0, 100),
    ),
    (
        "plan of 10,000 flows, 300 stay: calls without two for each app, flow service, time",
        "≤ 120, ≤ 15",
        _format_plan,
    ),
    (
        "CPU of a plan, times that of decoding the same JSON",
        "≤ 8",
        _format_planning_time,
    ),
    (
        "Resource Manager calls a flow for the network, wide",
        "< 1, falling",
        lambda r: _format_each(
            r.list_results("network"), lambda one: f"{one['calls_per_flow']:.1f}"
        ),
    ),
    ("10 flows in one app", "faster than the script, 1 restart", _format_one_app),
    ("messages a flow", "≤ 15, constant", _build_default_formatter("messages", 1)),
    ("reads of the store a flow", "≤ 80", _build_default_formatter("reads")),
    ("writes of the store a flow", "≤ 45", _build_default_formatter("writes")),
    (
        "times as fast as the serial script",
        "≥ 8 (1,000)",
        lambda r: _compare_with_serial_script(r, _compute_speed_ratio),
    ),
    (
        "times as fast as the parallel script",
        "≥ 1 (100), ≥ 1.5 (1,000)",
        lambda r: _compare_with_parallel_script(r, _compute_speed_ratio),
    ),
    (
        "CPU a flow, times the serial script's",
        "≤ 3 (100, 1,000)",
        lambda r: _compare_with_serial_script(r, _compute_cpu_ratio),
    ),
    (
        "CPU a flow, times the parallel script's",
        "",
        lambda r: _compare_with_parallel_script(r, _compute_cpu_ratio),
    ),
)


def _draw_charts(results: Results) -> Iterator[tuple[str, str]]:
    hand = results.find_result("hand", call_seconds=0.05)
    app = _find_app_runs(results)
    if hand and app:
        calls = {"script": _name_services(hand["calls"], hand["flows"])}
        calls |= {
            f"wide {one['flows']:,}": _name_services(one["calls"], one["flows"]) for one in app
        }
        defaults = results.list_results("default")
        calls |= {f"5/min {one['flows']:,}": _name_services(one["calls"]) for one in defaults}
        yield "calls", draw_stacked_bars(_TITLES["calls"], calls)
        each = hand["seconds"] / hand["flows"] / 60
        counts = [one["flows"] for one in app]
        series = {"serial script": [(n, each * n) for n in counts]}
        parallel = results.list_results("parallel hand", call_seconds=0.05)
        series["parallel script"] = [(one["flows"], one["seconds"] / 60) for one in parallel]
        for processes in (1, 2, 4):
            found = results.list_results("app", call_seconds=0.05, processes=processes)
            name = "app" if processes == 1 else f"app, {processes} processes"
            series[name] = [(one["flows"], one["seconds"] / 60) for one in found]
        series = {name: line for name, line in series.items() if line}
        yield "wide", draw_lines(_TITLES["wide"], "minutes", series)
    if defaults := results.list_results("default"):
        hours = [(one["flows"], one["hours"]) for one in defaults]
        script = [(n, n * _HAND_CALLS / _RATE / 60) for n, _ in hours]
        series = {"script (computed)": script, "app": hours}
        yield "default", draw_lines(_TITLES["default"], "hours", series)


def _name_services(calls: dict[str, float], flows: int = 1) -> dict[str, float]:
    return {_NAMES[name]: count / flows for name, count in calls.items() if count}
