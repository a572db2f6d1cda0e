"""Find who calls an original, and point each at its copy."""
