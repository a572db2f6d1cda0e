"""Test data of the firewall kind *Service Bus namespace*."""

from tests.kinds.namespace_resources import NamespaceResources

RESOURCES = NamespaceResources("Microsoft.ServiceBus/namespaces")
CASE = RESOURCES.build_case("servicebus namespace network-rule-set ip-rule add")
