"""Cast: the people whose eyes the pictures are taken with, by the address they sign in with."""

EVERYTHING, TWO_STEPS, EMPTY, NOT_ALLOWED, GUESSED = (
    f"{who}@pictures.example" for who in ("all", "steps", "empty", "reader", "guessed")
)
INVITED = "invited@pictures.example"
STRANGER = ""
IN_EMERGENCY = "clinician2@demo.example"
