"""What is measured of the installation once a day; it names no clinic."""

from django.db import migrations, models


class Migration(migrations.Migration):
<<<<<<<< HEAD:monitoring/migrations/0014_system_figures.py
    dependencies = [("monitoring", "0013_roles_of_invitations")]
========
    dependencies = [("monitoring", "0012_accounts")]
>>>>>>>> 4d8a913 (observability: Health checks that answer 503 are no errors in the log.):monitoring/migrations/0013_system_figures.py

    operations = [
        migrations.CreateModel(
            name="SystemFigure",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=40)),
                ("on", models.DateField()),
                ("value", models.BigIntegerField()),
            ],
            options={
                "ordering": ["name", "-on"],
                "constraints": [models.UniqueConstraint(fields=("name", "on"), name="system_figure_once_a_day")],
            },
        ),
    ]
