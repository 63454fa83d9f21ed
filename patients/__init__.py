"""Who is followed and what was recorded about them: patients, both hips, facts."""
