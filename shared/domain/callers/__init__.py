"""Define callers: places with the trigger URL or id of a flow."""
