"""The hosts that callers have to reach, as a text that can be sent as it stands."""

from collections.abc import Iterator
from typing import Any

from rich.text import Text


def outgoing_text(answer: Any) -> Text:
    """Return the message to whoever keeps the allow-lists; names are anybody's text."""
    hosts = [host for plan in answer["items"] for host in plan["outgoing"]]
    if not hosts:
        return Text("No flow of this remediation gets a copy with a trigger URL.")
    return Text("\n".join(_lines(hosts)))


def _lines(hosts: Any) -> Iterator[str]:
    yield "Subject: Hosts to let calls out to, before flows move to a new address"
    yield ""
    yield "Flows in Power Automate get copies, and each copy a new URL. Systems that call them and"
    yield "reach the Internet through a firewall or a proxy with a list of allowed hosts need:"
    yield ""
    for host in hosts:
        doubt = (
            "" if host["is_confirmed"] else "  (by the environment's id: no copy has shown it yet)"
        )
        yield f"  https://{host['host']}:443, TCP, TLS with this server name{doubt}"
    yield ""
    yield "The addresses of these hosts change: allow the names, or *.api.powerplatform.com. Keep"
    yield "what is allowed now (*.logic.azure.com among them): callers are moved back to it if a"
    yield "change has to be undone."
    yield ""
    yield "Flows, and the callers that are known:"
    for host in hosts:
        for flow in host["flows"]:
            callers = ", ".join(flow["callers"]) or "none found; whoever has its URL"
            yield f"  {flow['display_name']} ({host['host']}): {callers}"
