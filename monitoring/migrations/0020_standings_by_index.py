"""Standings are always brought up to date by index, also while statistics know nothing of what was just written.

Within one long transaction that fills an empty registry the planner takes the tables for empty and reads them whole,
for each patient.
"""

from django.db import migrations

WAYS = ("enable_seqscan", "enable_hashjoin", "enable_mergejoin")


class Migration(migrations.Migration):
    dependencies = [("monitoring", "0019_ending_checks")]

    operations = [
        migrations.RunSQL(
            [f"ALTER FUNCTION refresh_standings(bigint[]) SET {way} = off" for way in WAYS],
            [f"ALTER FUNCTION refresh_standings(bigint[]) RESET {way}" for way in WAYS],
        )
    ]
