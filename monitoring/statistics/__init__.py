"""Statistics: what the dashboard says of a registry. Definitions in words: docs/dashboard.md."""
