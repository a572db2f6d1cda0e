"""Reads and writes of flows that several phases of the work share."""
