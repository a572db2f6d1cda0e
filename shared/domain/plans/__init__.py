"""Rules of plans, from the discovery of flows to the approval."""
