"""What the guideline asks and when: protocol, follow-up windows, plans, reminders."""
