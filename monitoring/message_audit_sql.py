"""Message audit, as SQL: the trigger by which each mail that went out, or may have, is an entry of the audit.

It works in the statement that stores what came of the mail, so neither is kept without the other. Used by a migration:
what is emitted must not change its meaning.
"""

MAKE = """
CREATE FUNCTION monitoring_audit_messages() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO monitoring_auditentry
        (at, actor, user_id, act, clinic_id, patient_id, object, before, after, reason, request_id)
    SELECT told.at, told.actor, NULL, 'message_' || told.state, told.clinic_id, mail.patient_id,
        'reminder-' || mail.id, NULL,
        jsonb_build_object('step', mail.step, 'language', mail.language, 'message_id', mail.message_id),
        told.reason, ''
      FROM told JOIN schedules_reminder mail ON mail.id = told.reminder_id
     WHERE told.state IN ('sent', 'failed', 'uncertain')
       AND told.reason = mail.reason  -- else it tells of something else: a letter in the mail's place was printed
     ORDER BY told.id;
    RETURN NULL;
END $$;
CREATE TRIGGER messages_are_audited AFTER INSERT ON schedules_reminderevent
    REFERENCING NEW TABLE AS told FOR EACH STATEMENT EXECUTE FUNCTION monitoring_audit_messages();
"""
UNMAKE = """
DROP TRIGGER messages_are_audited ON schedules_reminderevent;
DROP FUNCTION monitoring_audit_messages();
"""
