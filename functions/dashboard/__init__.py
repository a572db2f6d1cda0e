"""The dashboard: pages of what waits for whom, of a remediation, its plan and its flows."""
