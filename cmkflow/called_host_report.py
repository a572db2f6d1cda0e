"""What `cmkflow network called-hosts` says of a host: a row, a line of CSV, an e-mail to its
owner.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from email.message import EmailMessage
from email.policy import SMTP
from typing import TypedDict

from shared.domain.network.address_ranges import union
from shared.domain.network.called_hosts import CalledHost
from shared.domain.network.firewall_decision import FirewallDecision, RuleSources, evaluate_rules
from shared.domain.network.network_check import FLOW_TAGS, PROTECTED_TAG
from shared.domain.network.service_tags import ServiceTag, ServiceTagList, as_published
from shared.domain.network.verdict import Verdict, verdict_on
from shared.domain.spreadsheet_cell import spreadsheet_cell

#: The worst comes first.
_WORST = (Verdict.DENIED, Verdict.PARTLY_ALLOWED, Verdict.UNKNOWN, Verdict.ALLOWED)
_LIST = "https://www.microsoft.com/download/details.aspx?id=56519"
_MAIL = """\
Hello,

{calls} {host} by HTTPS. Their environment moves to infrastructure that is protected by a
customer-managed key. From then on they send from other addresses: those of Microsoft's service
tag {tag} in the regions {regions}.

If your firewall lets callers in by their address, please add these prefixes for inbound HTTPS
(TCP 443), and keep those you have until we tell you that the move is done:

{prefixes}

They are from Microsoft's list{edition}, which changes from time to time: please look again at
least every 90 days. The current one: {address}

Please tell us when it is done. Thank you.
"""


class CalledHostRow(TypedDict):
    """What is said of one host."""

    #: None: it is an expression, and may be any host.
    host: str | None
    flows: Sequence[str]
    #: Ids of the resources before it; none: its owner has to be asked.
    resources: Sequence[str]
    #: `external`, `expression`, or the worst verdict on a resource before it.
    verdict: str
    #: What has to be let in, where it is not known to be.
    prefixes: Sequence[str]


class CalledHostReport:
    """What flows of some regions need of the hosts that they call."""

    def __init__(self, tags: ServiceTagList, regions: Sequence[str]) -> None:
        """`regions` are as the list spells them."""
        self._regions = regions
        self._edition = tags.change_number
        self._sources = RuleSources(tags, FLOW_TAGS)
        names = [f"{PROTECTED_TAG}.{region}" for region in regions]
        self._by_region = [found for name in names if (found := tags.addresses(name))]
        self._asked = union(self._by_region)
        self._published = ServiceTag(
            name=PROTECTED_TAG,
            prefixes=tuple(
                prefix for name in names if (tag := tags.find(name)) for prefix in tag.prefixes
            ),
        )

    def row(self, target: CalledHost) -> CalledHostRow:
        """Return what is said of a host."""
        admissions = [evaluate_rules(firewall, self._sources) for firewall in target.firewalls]
        verdicts = [self._verdict(one) for one in admissions]
        lacking = union(one.counting(self._asked) - one.allowed for one in admissions)
        verdict = "external" if target.is_external else "expression"
        return {
            "host": target.host,
            "flows": target.flows,
            "resources": [firewall.id for firewall in target.firewalls],
            "verdict": min(verdicts, key=_WORST.index) if verdicts else verdict,
            "prefixes": as_published(lacking if verdicts else self._asked, self._published),
        }

    def _verdict(self, admission: FirewallDecision) -> Verdict:
        """Return the verdict on all regions, or on one of which no address can meet it."""
        unlisted = filter(admission.is_without_addresses, self._by_region)
        verdicts = [verdict_on(admission, asked) for asked in (self._asked, *unlisted)]
        return min(verdicts, key=_WORST.index)

    def mail(self, row: CalledHostRow) -> bytes:
        """Return a message to the owner of a host; it names no flow, for it leaves the house."""
        message = EmailMessage(policy=SMTP)
        message["Subject"] = f"Please let in the new source addresses of our calls to {row['host']}"
        # Mail programs open it as a draft, to be addressed and sent.
        message["X-Unsent"] = "1"
        prefixes = "\n".join(f"    {prefix}" for prefix in row["prefixes"])
        text = _MAIL.format(
            calls="One of our Power Automate flows calls"
            if len(row["flows"]) == 1
            else f"{len(row['flows'])} of our Power Automate flows call",
            host=row["host"],
            tag=PROTECTED_TAG,
            regions=", ".join(self._regions),
            prefixes=prefixes,
            edition=f" {self._edition}" if self._edition else "",
            address=_LIST,
        )
        message.set_content(text, cte="quoted-printable")
        return message.as_bytes()


def as_csv(rows: Iterable[CalledHostRow]) -> str:
    """Return a table that spreadsheets read; no name in it is taken for a formula."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(CalledHostRow.__annotations__)
    for row in rows:
        lists = ("\n".join(one) for one in (row["flows"], row["resources"], row["prefixes"]))
        flows, resources, prefixes = map(spreadsheet_cell, lists)
        host = spreadsheet_cell(row["host"] or "")
        lines.writerow((host, flows, resources, row["verdict"], prefixes))
    return text.getvalue()
