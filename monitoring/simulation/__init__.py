"""Simulation: invented patients who live forward under the guideline. No fact in it is about a real person."""
