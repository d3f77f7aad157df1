"""Many documents, one call each, on Ray Data."""
