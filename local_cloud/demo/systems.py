"""The outside systems of the demo: where each holds the trigger URL that it calls."""

from dataclasses import dataclass

from local_cloud.demo import customer_care, operations
from local_cloud.demo.definitions import build_url_placeholder

SUBSCRIPTION = "3b7c2d5e-90aa-4a31-8f0e-5f6f2f1f7c01"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-integration/providers"
#: Vault with what applications read.
APPLICATION_VAULT = "kv-contoso-apps"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalSystem:
    """A system outside Power Platform that calls a flow."""

    name: str
    environment: str
    flow: str
    #: Setting of an app (`site/NAME`), or empty.
    setting: str = ""
    #: Name of a secret in `APPLICATION_VAULT`, or empty.
    secret: str = ""
    #: Name of a logic app that holds the URL in its parameter `url`, or empty.
    logic_app: str = ""
    #: The URL stands in JSON text, under `url`.
    is_json: bool = False
    #: It sends a token beside (trigger open to the tenant's users only).
    has_token: bool = False
    #: Seconds between two calls.
    every: float = 1.0

    @property
    def site_id(self) -> str:
        """Resource id of the app whose setting it is."""
        return site_id(self.setting.partition("/")[0])

    @property
    def logic_app_id(self) -> str:
        """Resource id of the logic app."""
        return f"{GROUP}/Microsoft.Logic/workflows/{self.logic_app}"

    @property
    def kind(self) -> str:
        """What kind of caller it is, for people."""
        if self.logic_app:
            return "logic app"
        return "secret" if self.secret else "app setting"

    @property
    def setting_name(self) -> str:
        """Name of the setting."""
        return self.setting.partition("/")[2]

    def held_text(self) -> str:
        """What the description of the tenant puts where the system holds its URL."""
        url = build_url_placeholder(self.environment, self.flow)
        return f'{{"timeout": 30, "url": "{url}"}}' if self.is_json else url


def site_id(name: str) -> str:
    """Resource id of an app of the demo."""
    return f"{GROUP}/Microsoft.Web/sites/{name}"


def _operations(flow: str, name: str, **held: object) -> ExternalSystem:
    return ExternalSystem(name=name, environment=operations.NAME, flow=flow, **held)  # type: ignore[arg-type]  # the fields above


def _customer_care(flow: str, name: str, **held: object) -> ExternalSystem:
    return ExternalSystem(name=name, environment=customer_care.NAME, flow=flow, **held)  # type: ignore[arg-type]  # the fields above


SYSTEMS = (
    _operations("orders", "shop", setting="contoso-shop/ORDERS_URL"),
    _operations("old-host", "returns desk", setting="contoso-shop/RETURNS_URL"),
    _operations("web-shop", "web shop", setting="contoso-shop/WEB_SHOP_URL"),
    _operations("stock", "stock display", secret="stock-url"),
    _operations("invoices", "billing", setting="contoso-billing/INVOICE_HOOK"),
    _operations("labels", "label printer", setting="contoso-billing/LABELS", is_json=True),
    _operations("erp", "ERP feed", setting="contoso-billing/ERP_URL"),
    _operations("partners", "partner portal", setting="contoso-portal/HOOK", has_token=True),
    _operations("alerts", "monitoring", setting="contoso-monitoring/TEAMS_URL"),
    _operations("borrowed", "mail form", setting="contoso-portal/MAIL_URL"),
    _operations("pricing", "price feed", secret="pricing-url"),
    _operations("month-end", "scheduler", secret="month-end-url"),
    _customer_care("survey", "survey tool", logic_app="contoso-survey-hub"),
    _customer_care("complaint", "complaint form", secret="complaint-url"),
    _customer_care("chat", "chat widget", setting="contoso-survey/CHAT_URL"),
    _customer_care("call-back", "telephony", setting="contoso-phone/CALL_BACK_URL"),
    _customer_care("feedback", "feedback form", setting="contoso-phone/FEEDBACK_URL"),
)
