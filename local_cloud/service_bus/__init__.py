"""Service Bus queues on one machine, for the real SDK to talk to."""

from local_cloud.service_bus.configuration import PRODUCT_QUEUES
from local_cloud.service_bus.local_service_bus import LocalServiceBus

__all__ = ["PRODUCT_QUEUES", "LocalServiceBus"]
