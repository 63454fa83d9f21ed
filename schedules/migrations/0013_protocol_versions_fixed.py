"""A protocol version is fixed once it is submitted, and nobody who had a hand in it approves it; its steps stay."""

from django.db import migrations

from patients import row_security


class Migration(migrations.Migration):
    dependencies = [("schedules", "0012_protocol_steps"), ("patients", "0002_row_level_security")]

    operations = [
        row_security.add_only(["schedules_protocolstep"]),
        migrations.RunSQL(
            """
            CREATE FUNCTION keep_protocol_version() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF OLD.state NOT IN ('draft', 'returned')
                   AND (NEW.name, NEW.parameters, NEW.digest, NEW.note, NEW.based_on_id, NEW.created_by_id, NEW.submitted_by_id)
                   IS DISTINCT FROM
                   (OLD.name, OLD.parameters, OLD.digest, OLD.note, OLD.based_on_id, OLD.created_by_id, OLD.submitted_by_id)
                THEN
                    RAISE EXCEPTION 'protocol version % is fixed', OLD.name USING ERRCODE = 'check_violation';
                END IF;
                IF OLD.state = 'approved' AND (NEW.in_force_from, NEW.approved_by_id)
                   IS DISTINCT FROM (OLD.in_force_from, OLD.approved_by_id) THEN
                    RAISE EXCEPTION 'protocol version % is adopted', OLD.name USING ERRCODE = 'check_violation';
                END IF;
                IF OLD.state = 'approved' AND NEW.state <> 'approved' AND OLD.in_force_from <= current_date THEN
                    RAISE EXCEPTION 'protocol version % has been in force', OLD.name USING ERRCODE = 'check_violation';
                END IF;
                IF NEW.state = 'approved' AND OLD.state <> 'approved' AND EXISTS (
                    SELECT FROM schedules_protocolstep s WHERE s.version_id = NEW.id
                    AND s.user_id = NEW.approved_by_id AND s.act IN ('drafted', 'edited', 'submitted')
                ) THEN
                    RAISE EXCEPTION 'protocol version % is approved by its author', OLD.name USING ERRCODE = 'check_violation';
                END IF;
                RETURN NEW;
            END $$;
            CREATE TRIGGER protocol_version_kept BEFORE UPDATE ON schedules_protocolversion
                FOR EACH ROW EXECUTE FUNCTION keep_protocol_version();
            """,
            "DROP TRIGGER protocol_version_kept ON schedules_protocolversion; DROP FUNCTION keep_protocol_version();",
        ),
    ]
