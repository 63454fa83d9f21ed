"""Forgetting, in SQL: what takes names out of rows that the application itself may only add to.

The functions belong to the owner of the tables. Each does its work only for a patient of an approved run of one of
the transaction's clinics, and never for one who has a follow-up window. Used by a migration, so what is here must not
change its meaning; add a function instead.
"""

from typing import Final

GONE: Final = "anonymised"
_PERSON: Final = f"""
    family_name = '{GONE}', given_name = '', born_on = date_trunc('year', born_on)::date, national_id = '',
    national_id_kind = '', email = '', email_bounce_reason = '', telephone = '', telephone_as_given = '', address = '',
    next_of_kin = '', record_number = 'ANON-' || {{id}},
    death_source = CASE WHEN died_on IS NULL THEN '' ELSE '{GONE}' END"""


def _said(*columns: str) -> str:
    """Blank where blank, else a word that says that something stood there."""
    return ", ".join(f"{column} = CASE WHEN {column} = '' THEN '' ELSE '{GONE}' END" for column in columns)


def _blank(*columns: str) -> str:
    return ", ".join(f"{column} = ''" for column in columns)


_OF_A_FACT: Final = f"{_blank('note')}, {_said('correction_reason', 'withdrawn_reason')}"
# Table -> what is set in the rows of the patient.
_BY_PATIENT: Final = {
    "patients_contactwish": f"how = '{GONE}'",
    "patients_consent": f"how = '{GONE}'",
    "patients_contactwishevent": f"how = '{GONE}'",
    "patients_consentevent": f"how = '{GONE}'",
    "patients_exposure": f"{_blank('source')}, {_said('withdrawn_reason')}",
    "patients_exposureevent": f"{_blank('source')}, {_said('withdrawn_reason')}",
    "patients_visit": _blank("note"),
    "patients_imaging": f"{_OF_A_FACT}, {_blank('report', 'reader', 'accession_number', 'study_instance_uid')}",
    "patients_staging": f"{_OF_A_FACT}, {_blank('reader')}",
    "patients_symptomreport": f"{_OF_A_FACT}, {_blank('pain_site', 'walking_aid')}",
    "patients_score": _OF_A_FACT,
    "patients_procedure": f"{_OF_A_FACT}, {_blank('operator', 'complication')}",
    "patients_decision": f"{_OF_A_FACT}, reason = '{GONE}', {_blank('consequence')}",
    "patients_lesionlocation": _OF_A_FACT,
    "patients_ending": f"{_OF_A_FACT}, evidence = '{GONE}', {_said('receiving_clinic')}",
    "patients_bmireading": _OF_A_FACT,
    "schedules_appointment": f"{_blank('place', 'note')}, {_said('cancelled_reason')}",
    "schedules_appointmentevent": f"{_blank('place')}, {_said('reason')}",
    "monitoring_contactattempt": _blank("note"),
    "monitoring_snooze": f"reason = '{GONE}'",
    "monitoring_importrow": "problems = '[]', wrote = '{}', undone = NULL",
}
_ADDRESSES: Final = f"""
    UPDATE schedules_reminder SET sent_to = '{GONE}@mail.invalid'
        WHERE patient_id = {{patient}} AND sent_to <> ''{{old}};
    UPDATE schedules_deliveryevent SET address = '{GONE}@mail.invalid', words = ''
        WHERE patient_id = {{patient}}{{told}};"""  # noqa: S608  # our own tables
_CHECKED: Final = """
    SELECT * INTO run FROM monitoring_retentionrun r WHERE r.id = of_run AND r.state = 'approved' AND r.kind = '{kind}'
        AND r.clinic_id = ANY (app_clinic_ids()) AND of_patient = ANY (r.subjects);
    IF NOT FOUND OR NOT EXISTS (
        SELECT 1 FROM patients_patient p WHERE p.id = of_patient AND p.clinic_id = run.clinic_id) THEN
        RAISE EXCEPTION 'no approved run says so' USING ERRCODE = 'insufficient_privilege';
    END IF;"""
# pgtrigger's history tables refuse changes, but for triggers that the transaction ignores.
_OPEN: Final = """
    PERFORM set_config('pgtrigger.ignore',
        (SELECT array_agg(tgname)::text FROM pg_trigger WHERE tgname LIKE 'pgtrigger_append_only%'), true);"""
_CLOSE: Final = "\n    PERFORM set_config('pgtrigger.ignore', '{}', true);"


def _function(name: str, kind: str, body: str) -> str:
    return f"""CREATE FUNCTION {name}(of_run bigint, of_patient bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE run monitoring_retentionrun; pk bigint;
BEGIN{_CHECKED.format(kind=kind)}{_OPEN}
{body}{_CLOSE}
END $$"""


def _anonymise() -> str:
    """Of the patient and of every record that became part of theirs."""
    updates = "\n".join(
        f"        UPDATE {table} SET {what} WHERE patient_id = pk;"  # noqa: S608  # our own tables
        for table, what in _BY_PATIENT.items()
    )
    return f"""
    IF EXISTS (SELECT 1 FROM schedules_plan WHERE patient_id = of_patient AND state = 'current') THEN
        RAISE EXCEPTION 'the patient is followed' USING ERRCODE = 'insufficient_privilege';
    END IF;
    FOR pk IN WITH RECURSIVE theirs(id) AS (
        SELECT of_patient UNION SELECT p.id FROM patients_patient p JOIN theirs t ON p.merged_into_id = t.id)
        SELECT id FROM theirs
    LOOP
{updates}
        UPDATE monitoring_casenote SET text = '{GONE}'
            WHERE case_id IN (SELECT id FROM monitoring_reviewcase WHERE patient_id = pk);
        UPDATE patients_merge SET reason = '{GONE}', {_said("closing_reason")},
            wrote = wrote || '{{"before": {{}}, "after": {{}}, "wishes": {{}}, "consents": {{}}}}'
            WHERE survivor_id = pk OR merged_id = pk;
        DELETE FROM patients_possibleduplicate WHERE one_id = pk OR other_id = pk;
        DELETE FROM monitoring_visitdraft WHERE patient_id = pk;
        {_ADDRESSES.format(patient="pk", old="", told="")}
        UPDATE patients_patientevent SET {_PERSON.format(id="pgh_obj_id")} WHERE pgh_obj_id = pk;
        UPDATE patients_patient SET {_PERSON.format(id="id")}, responsible_id = NULL, anonymised_on = current_date
            WHERE id = pk;
        UPDATE patients_patientevent SET {_PERSON.format(id="pgh_obj_id")} WHERE pgh_obj_id = pk;
    END LOOP;"""  # noqa: S608  # our own tables


def _forget_messages() -> str:
    return _ADDRESSES.format(
        patient="of_patient",
        old=" AND state IN ('sent', 'failed', 'refused', 'expired', 'cancelled') AND send_on < run.before",
        told=" AND at < run.before",
    )


CREATE: Final = [
    _function("anonymise_patient", "ended_patients", _anonymise()),
    _function("forget_addresses", "messages", _forget_messages()),
]
DROP: Final = ["DROP FUNCTION anonymise_patient(bigint, bigint)", "DROP FUNCTION forget_addresses(bigint, bigint)"]
