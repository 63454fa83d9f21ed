"""What is measured of the installation once a day; it names no clinic."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("monitoring", "0013_roles_of_invitations")]

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
