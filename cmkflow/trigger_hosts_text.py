"""Write a message about the hosts of trigger URLs, for those who manage allow lists."""

from collections.abc import Iterator
from typing import Any

from rich.text import Text


def format_trigger_hosts(answer: Any) -> Text:
    hosts = [host for plan in answer["items"] for host in plan["trigger_hosts"]]
    if not hosts:
        return Text("This remediation creates no copy with a trigger URL.")
    return Text("\n".join(_format_host_lines(hosts)))


def _format_host_lines(hosts: Any) -> Iterator[str]:
    yield "Subject: Please allow outbound calls to new hosts of our Power Automate flows"
    yield ""
    yield "Power Automate flows are replaced by copies with new URLs. Systems that call"
    yield "these flows through a firewall or proxy with a list of allowed hosts need access to:"
    yield ""
    for host in hosts:
        doubt = "" if host["is_confirmed"] else "  (expected, not yet confirmed by a copy)"
        yield f"  https://{host['host']}:443, TCP, TLS with this server name{doubt}"
    yield ""
    domains = sorted({f"*.{host['host'].partition('.environment.')[2]}" for host in hosts})
    yield f"The addresses of these hosts change: allow the names, or {', '.join(domains)}."
    yield "Keep the existing entries: after a rollback, callers use the old hosts again."
    yield ""
    yield "Flows and known callers:"
    for host in hosts:
        for flow in host["flows"]:
            callers = ", ".join(flow["callers"]) or "none found; anyone who has its URL"
            yield f"  {flow['display_name']} ({host['host']}): {callers}"
