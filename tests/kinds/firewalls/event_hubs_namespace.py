"""Test data of the firewall kind *Event Hubs namespace*."""

from tests.kinds.namespace_resources import NamespaceResources

RESOURCES = NamespaceResources("Microsoft.EventHub/namespaces")
CASE = RESOURCES.build_case("eventhubs namespace network-rule-set ip-rule add")
