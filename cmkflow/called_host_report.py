"""Report whether the hosts that flows call allow the addresses of flows."""

from collections.abc import Sequence
from email.message import EmailMessage
from email.policy import SMTP
from typing import TypedDict

from shared.domain.network.address_ranges import unite_ranges
from shared.domain.network.called_hosts import CalledHost
from shared.domain.network.firewall_decision import FirewallDecision, RuleSources, evaluate_rules
from shared.domain.network.network_check import FLOW_TAGS, PROTECTED_TAG
from shared.domain.network.service_tags import ServiceTag, ServiceTagList, format_as_published
from shared.domain.network.verdict import Verdict, compute_verdict

#: Verdicts, worst first.
_WORST = (Verdict.DENIED, Verdict.PARTLY_ALLOWED, Verdict.UNKNOWN, Verdict.ALLOWED)
_LIST = "https://www.microsoft.com/download/details.aspx?id=56519"
_MAIL = """\
Hello,

{calls} {host} over HTTPS. Their environment will be protected by a
customer-managed key. After that, the calls come from other addresses: those of Microsoft's service
tag {tag} in the regions {regions}.

If your firewall allows callers by address, please add these prefixes for inbound HTTPS
(TCP 443), and keep the existing ones until we confirm that the change is complete:

{prefixes}

They are from Microsoft's service tag list{version}, which changes from time to time. Please
check it at least every 90 days. The current list: {address}

Please let us know when you have added them. Thank you.
"""


class CalledHostRow(TypedDict):
    """What the report says about one host."""

    #: None if an expression computes the host, which may then be any host.
    host: str | None
    flows: Sequence[str]
    #: Ids of the Azure resources behind this host name; empty if its owner must be asked.
    resources: Sequence[str]
    #: `external`, `expression`, or the worst verdict on one of the resources.
    verdict: str
    #: The address ranges that are not known to be allowed.
    prefixes: Sequence[str]


class CalledHostReport:
    """Builds the rows and e-mails of the report for some regions."""

    def __init__(self, tags: ServiceTagList, regions: Sequence[str]) -> None:
        """`regions` are spelled as in the service tag list."""
        self._regions = regions
        self._version = tags.change_number
        self._sources = RuleSources(tags, FLOW_TAGS)
        names = [f"{PROTECTED_TAG}.{region}" for region in regions]
        self._by_region = [found for name in names if (found := tags.find_addresses(name))]
        self._asked = unite_ranges(self._by_region)
        self._published = ServiceTag(
            name=PROTECTED_TAG,
            prefixes=tuple(
                prefix for name in names if (tag := tags.find(name)) for prefix in tag.prefixes
            ),
        )

    def build_row(self, target: CalledHost) -> CalledHostRow:
        """Return what the report says about a host."""
        admissions = [evaluate_rules(firewall, self._sources) for firewall in target.firewalls]
        verdicts = [self._compute_worst_verdict(one) for one in admissions]
        lacking = unite_ranges(
            one.find_reaching_addresses(self._asked) - one.allowed for one in admissions
        )
        verdict = "external" if target.is_external else "expression"
        return {
            "host": target.host,
            "flows": target.flows,
            "resources": [firewall.id for firewall in target.firewalls],
            "verdict": min(verdicts, key=_WORST.index) if verdicts else verdict,
            "prefixes": format_as_published(lacking if verdicts else self._asked, self._published),
        }

    def _compute_worst_verdict(self, admission: FirewallDecision) -> Verdict:
        unlisted = filter(admission.has_no_reaching_address, self._by_region)
        verdicts = [compute_verdict(admission, asked) for asked in (self._asked, *unlisted)]
        return min(verdicts, key=_WORST.index)

    def build_email_to_host_owner(self, row: CalledHostRow) -> bytes:
        """Return an e-mail that asks the owner of a host to allow the addresses.

        It names no flow, because its reader may be outside the company.
        """
        message = EmailMessage(policy=SMTP)
        message["Subject"] = f"Please allow the new source addresses of our calls to {row['host']}"
        # Mail programs then open the file as a draft.
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
            version=f" {self._version}" if self._version else "",
            address=_LIST,
        )
        message.set_content(text, cte="quoted-printable")
        return message.as_bytes()
