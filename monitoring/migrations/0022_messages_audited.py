"""Each mail that went out, or may have, is an entry of the audit, written with what is stored of it."""

from django.db import migrations

from monitoring import message_audit_sql


class Migration(migrations.Migration):

    dependencies = [
        ('monitoring', '0021_audit_seals'),
        ('schedules', '0014_mail_server'),
    ]

    operations = [
        migrations.RunSQL(message_audit_sql.MAKE, message_audit_sql.UNMAKE),
    ]
