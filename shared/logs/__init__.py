"""Write log lines with fields, and redact trigger URLs in them."""
