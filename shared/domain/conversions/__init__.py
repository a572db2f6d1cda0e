"""Conversions of a V1 trigger or action to V2, so that a flow needs no copy."""
