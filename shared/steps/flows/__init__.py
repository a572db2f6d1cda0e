"""Reads and writes of flows that several kinds of steps share."""
