"""Standing, as SQL: the view that says where a patient stands, the table that keeps it, the triggers in between.

Used by migrations, so what is emitted must not change its meaning: for another rule add a migration that replaces the
view and fills the table anew. `monitoring/standings.py` says nightly whether table and view agree.
"""

FAR = 9_999_999  # no day at all comes after every day
COLUMNS = (
    "patient_id",
    "clinic_id",
    "rank",
    "followed",
    "late",
    "open",
    "never_started",
    "incomplete",
    "no_mail",
    "review_rank",
    "snoozed_until",
    "booked_at",
    "call_from",
    "call_until",
)
INCOMPLETE = (
    "ASSESS_CONTRALATERAL_HIP",
    "BASELINE_MRI",
    "BASELINE_RADIOGRAPH",
    "CHECK_VOLUME",
    "MEASURE_VOLUME",
    "RECORD_CLINICAL_REVIEW",
    "REPEAT_VIEWS",
    "SECOND_READING",
)
# The pathways in which a joint can still be saved, or is being lost, come first; then any other; then no answer at all.
RISK = {
    "symptomatic": 0,
    "large_lesion": 1,
    "post_decompression": 2,
    "collapse": 3,
    "work_up": 4,
    "observation": 5,
    "not_assessed": 6,
}
OTHER_RISK, NOT_EVALUATED = 9, 10

# What of each table the standing follows from: the patient's column, and the columns whose change matters.
SOURCES = {
    "patients_patient": ("id", ("clinic_id", "email", "email_bounced_on")),
    "patients_contactwish": ("patient_id", ("channel", "allowed")),
    "monitoring_hipevaluation": ("patient_id", ("pathway", "status", "anchor_on", "due_on")),
    "monitoring_flag": ("patient_id", ("action", "closed_at")),
    "monitoring_reviewcase": ("patient_id", ("state", "urgency", "act_by")),
    "monitoring_snooze": ("patient_id", ("until", "ended_at")),
    "schedules_appointment": ("patient_id", ("state", "purpose", "starts_at")),
    "schedules_substitute": ("patient_id", ("state", "channel", "until", "waits_until", "next_on")),
}


def _listed(codes: tuple[str, ...]) -> str:
    return ", ".join(f"'{code}'" for code in codes)


_RISK = " ".join(f"WHEN '{pathway}' THEN {risk}" for pathway, risk in RISK.items())

# Read by the application it shows the rows of the transaction's clinics only: `security_invoker`.
VIEW = f"""
CREATE VIEW monitoring_standing_now WITH (security_invoker = true) AS
SELECT p.id AS patient_id, p.clinic_id,
    coalesce(h.risk, {NOT_EVALUATED}) * 10000000 + coalesce(h.due_on - DATE '1900-01-01', {FAR}) AS rank,
    coalesce(h.followed, false) AS followed,
    coalesce(h.late, false) AS late,
    coalesce(h.open, false) AS open,
    coalesce(h.never_started, false) AS never_started,
    EXISTS (SELECT FROM monitoring_flag f
        WHERE f.patient_id = p.id AND f.closed_at IS NULL AND f.action IN ({_listed(INCOMPLETE)})) AS incomplete,
    (p.email = '' OR p.email_bounced_on IS NOT NULL OR NOT EXISTS (SELECT FROM patients_contactwish w
        WHERE w.patient_id = p.id AND w.channel = 'email' AND w.allowed)) AS no_mail,
    r.rank AS review_rank,
    (SELECT max(s.until) FROM monitoring_snooze s WHERE s.patient_id = p.id AND s.ended_at IS NULL) AS snoozed_until,
    (SELECT max(a.starts_at) FROM schedules_appointment a WHERE a.patient_id = p.id
        AND a.state IN ('booked', 'moved') AND a.purpose IN ('visit', 'radiographs', 'mri', 'ct')) AS booked_at,
    k.call_from, k.call_until
FROM patients_patient p
CROSS JOIN LATERAL (SELECT
        min(CASE e.pathway {_RISK} ELSE {OTHER_RISK} END) AS risk,
        min(e.due_on) AS due_on,
        bool_or(e.status IS NOT NULL) AS followed,
        bool_or(e.status IN ('overdue', 'gap')) AS late,
        bool_or(e.status IN ('open', 'due')) AS open,
        bool_or(e.status IS NOT NULL AND e.anchor_on IS NULL) AS never_started
    FROM monitoring_hipevaluation e WHERE e.patient_id = p.id) h
CROSS JOIN LATERAL (SELECT min(CASE c.urgency WHEN 'URGENT' THEN 0 ELSE 1 END) * 10000000
        + coalesce(min(c.act_by) - DATE '1900-01-01', {FAR}) AS rank
    FROM monitoring_reviewcase c WHERE c.patient_id = p.id AND c.state = 'open') r
CROSS JOIN LATERAL (SELECT min(coalesce(greatest(b.waits_until, b.next_on), DATE '1900-01-01')) AS call_from,
        min(b.until) AS call_until
    FROM schedules_substitute b
    WHERE b.patient_id = p.id AND b.state = 'open' AND b.channel = 'telephone') k
"""  # noqa: S608 - names and codes of our own, here and below

_OTHERS = COLUMNS[1:]
# The rows are locked first: whoever waits for another's lock then reads what the other wrote.
REFRESH = f"""
CREATE FUNCTION refresh_standings(patients bigint[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF patients IS NULL THEN RETURN; END IF;
    PERFORM FROM monitoring_standing WHERE patient_id = ANY (patients) ORDER BY patient_id FOR NO KEY UPDATE;
    INSERT INTO monitoring_standing AS known ({", ".join(COLUMNS)})
    SELECT {", ".join(COLUMNS)} FROM monitoring_standing_now WHERE patient_id = ANY (patients) ORDER BY patient_id
    ON CONFLICT (patient_id) DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in _OTHERS)}
    WHERE ({", ".join(f"known.{name}" for name in _OTHERS)})
        IS DISTINCT FROM ({", ".join(f"excluded.{name}" for name in _OTHERS)});
END $$
"""  # noqa: S608

FILL = (
    f"INSERT INTO monitoring_standing ({', '.join(COLUMNS)})"  # noqa: S608
    f" SELECT {', '.join(COLUMNS)} FROM monitoring_standing_now"
)

# The row goes with its patient, and can name no other clinic than the patient's.
TIE = """
ALTER TABLE monitoring_standing ADD CONSTRAINT standing_of_its_patient
FOREIGN KEY (patient_id, clinic_id) REFERENCES patients_patient (id, clinic_id) ON UPDATE CASCADE ON DELETE CASCADE
"""


def triggers_on(table: str) -> list[str]:
    """Statements after which every statement that changes `table` brings the standings of its patients up to date."""
    patient, columns = SOURCES[table]
    name = f"standing_after_{table}"
    before, after = (", ".join(f"{row}.{column}" for column in (patient, *columns)) for row in ("was", "now"))
    body = f"""
    DECLARE touched bigint[];
    BEGIN
        IF TG_OP = 'INSERT' THEN
            SELECT array_agg(DISTINCT {patient}) INTO touched FROM new_rows;
        ELSIF TG_OP = 'DELETE' THEN
            SELECT array_agg(DISTINCT {patient}) INTO touched FROM old_rows;
        ELSE
            SELECT array_agg(DISTINCT one) INTO touched
            FROM old_rows was FULL JOIN new_rows now ON now.{_key(table)} = was.{_key(table)},
                LATERAL (VALUES (was.{patient}), (now.{patient})) moved (one)
            WHERE ({before}) IS DISTINCT FROM ({after});
        END IF;
        PERFORM refresh_standings(touched);
        RETURN NULL;
    END"""  # noqa: S608
    rows = {"INSERT": "NEW TABLE AS new_rows", "DELETE": "OLD TABLE AS old_rows"}
    rows["UPDATE"] = "OLD TABLE AS old_rows NEW TABLE AS new_rows"
    return [
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp"
        f" AS $${body} $$",
        *(
            f"CREATE TRIGGER {name}_{act.lower()} AFTER {act} ON {table} REFERENCING {seen}"
            f" FOR EACH STATEMENT EXECUTE FUNCTION {name}()"
            for act, seen in rows.items()
        ),
    ]


def _key(table: str) -> str:
    return "hip_id" if table == "monitoring_hipevaluation" else "id"


def no_triggers_on(table: str) -> list[str]:
    name = f"standing_after_{table}"
    drops = [f"DROP TRIGGER {name}_{act} ON {table}" for act in ("insert", "update", "delete")]
    return [*drops, f"DROP FUNCTION {name}()"]


def make() -> list[str]:
    """The view, the triggers and the first filling."""
    return [TIE, VIEW, REFRESH, *(one for table in SOURCES for one in triggers_on(table)), FILL]


def unmake() -> list[str]:
    return [
        *(one for table in SOURCES for one in no_triggers_on(table)),
        "DROP FUNCTION refresh_standings(bigint[])",
        "DROP VIEW monitoring_standing_now",
    ]
