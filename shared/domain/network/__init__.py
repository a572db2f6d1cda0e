"""Find firewalls that deny the addresses of flows under a key, and propose fixes."""
