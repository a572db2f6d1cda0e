"""What several phases of the work read or write of a flow."""
