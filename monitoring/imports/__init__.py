"""Imports: a registry kept elsewhere comes in as a file, checked first, saved by the same actions as typing it."""
