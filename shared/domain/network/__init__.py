"""Which firewalls let the addresses of flows under a customer-managed key in."""
