"""Patients' own pages: opened by a signed link from a mail, without an account, one question a screen."""
