"""Find the firewalls that deny the addresses of flows under a customer-managed key, and propose
fixes.
"""
