"""Plans: from discovery to approval."""
