"""Find the firewalls that deny the addresses of flows with a customer-managed key, and propose
fixes.
"""
