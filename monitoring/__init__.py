"""What needs a person: evaluation, flags, reviews, worklist, census, audit."""
