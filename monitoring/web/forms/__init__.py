"""Forms of the staff's pages: one concept, one module."""
