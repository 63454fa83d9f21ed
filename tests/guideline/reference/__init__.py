"""A second, naive reading of the guideline, kept apart from the engine so that the two can be compared."""
