"""Privacy: what of a person is handed to them, to researchers, and when nothing of them is kept any more."""
