"""Turn, as SQL: what came of the last mails is stored and the next are claimed, in one call of one function.

In the database because a turn is three statements that must follow each other: the locks are taken first, and what is
asked then is what those who held them left behind. Called by `schedules.turns` alone, and used by a migration: for
another turn add a migration that replaces the function, in the same words or under another name while workers of two
versions run.
"""

# Plans are kept whatever they are called with (they would be made anew for each mail, a fifth of a turn). A state is
# compared as an expression, so that mails are found by their number and never by an index of states: that is full of
# rows which have just left the state, as long as somebody's long transaction may still see them.
#
# What happens to a patient's follow-up moves the mail itself. The rest is asked for here: a death, an address or wish
# that changed, mail that was stopped or held, and another mail to the same patient.
MAKE = """
CREATE FUNCTION schedules_turn(
    bound text, run text, by_whom text, moment timestamptz,
    done bigint[], provider_ids text[],
    wanted bigint[], message_ids text[], decided_since timestamptz, leased timestamptz, rehearsal text
) RETURNS TABLE (
    stored bigint, mail bigint, tries smallint, addressed varchar, address varchar, in_language varchar, named varchar
) LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
DECLARE held bigint[];
BEGIN
    IF bound IS NOT NULL THEN
        PERFORM set_config('app.clinic_ids', bound, true);
    END IF;
    IF cardinality(done) > 0 THEN
        WITH sent AS (
            UPDATE schedules_reminder r
               SET state = 'sent', reason = '', not_before = NULL, lease_until = NULL,
                   -- what turns out to have arrived keeps the moment of the doubt
                   decided_at = CASE WHEN r.state = 'uncertain' THEN r.decided_at ELSE moment END,
                   provider_id = coalesce(nullif(provider_ids[array_position(done, r.id)], ''), r.provider_id)
             WHERE r.id = ANY (done) AND r.state || '' IN ('sending', 'uncertain') AND r.claimed_by = run
         RETURNING r.id, r.clinic_id
        )
        INSERT INTO schedules_reminderevent (clinic_id, reminder_id, at, state, reason, actor)
        SELECT sent.clinic_id, sent.id, moment, 'sent', '', by_whom FROM sent;
        GET DIAGNOSTICS stored = ROW_COUNT;
        RETURN NEXT;
    END IF;
    IF cardinality(wanted) > 0 THEN
        held := ARRAY(
            SELECT r.id FROM schedules_reminder r JOIN patients_patient p ON p.id = r.patient_id
             WHERE r.id = ANY (wanted) AND r.state || '' = 'planned' AND r.claimed_by = run
               FOR NO KEY UPDATE OF r, p SKIP LOCKED
        );
        RETURN QUERY
        WITH claimed AS (
            UPDATE schedules_reminder r
               SET state = 'sending', reason = '', not_before = NULL, decided_at = moment,
                   lease_until = leased, attempts = r.attempts + 1,
                   sent_to = coalesce(nullif(rehearsal, ''), p.email), language = p.language,
                   message_id = message_ids[array_position(wanted, r.id)]
              FROM patients_patient p, patients_clinic c
             WHERE r.id = ANY (held) AND p.id = r.patient_id AND c.id = r.clinic_id
               AND p.died_on IS NULL AND p.merged_into_id IS NULL
               AND p.email_bounced_on IS NULL AND p.email <> '' AND NOT c.mail_stopped
               AND EXISTS (SELECT FROM patients_contactwish w
                            WHERE w.patient_id = p.id AND w.channel = 'email' AND w.allowed)
               AND NOT EXISTS (SELECT FROM schedules_messageplan m WHERE m.clinic_id = c.id AND m.held_at IS NOT NULL)
               AND NOT EXISTS (SELECT FROM schedules_reminder o
                                WHERE o.patient_id = p.id AND o.state || '' IN ('sent', 'sending', 'uncertain')
                                  AND o.decided_at >= decided_since)
         RETURNING r.id, r.clinic_id, r.attempts, r.sent_to, p.email, p.language, r.message_id
        ), told AS (
            INSERT INTO schedules_reminderevent (clinic_id, reminder_id, at, state, reason, actor)
            SELECT claimed.clinic_id, claimed.id, moment, 'sending', '', by_whom FROM claimed
        )
        SELECT NULL::bigint, claimed.id, claimed.attempts, claimed.sent_to, claimed.email, claimed.language,
               claimed.message_id
          FROM claimed;
    END IF;
END $$
"""
UNMAKE = """
DROP FUNCTION schedules_turn(
    text, text, text, timestamptz, bigint[], text[], bigint[], text[], timestamptz, timestamptz, text
)
"""
