"""The pages: each reads through access, writes through one action, and renders a template."""
