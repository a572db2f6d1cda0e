"""Convert a V1 trigger or action in a flow's definition to V2, so that the flow needs no copy."""
