"""Standing, as SQL: the view that says where a patient stands, the table that keeps it, the triggers in between.

Used by migrations, so what is emitted must not change its meaning: for another rule add a migration that replaces the
view and fills the table anew, as 0030 and 0031 do. `monitoring/standings.py` says nightly whether table and view agree.
"""

from collections.abc import Mapping, Sequence

FAR = 9_999_999  # no day at all comes after every day
FIRST_COLUMNS = (  # those that 0017 made
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
COLUMNS = (
    *FIRST_COLUMNS,
    "responsible_id",
    "language",
    "pathways",
    "due_on",
    "overdue_on",
    "clinician_from",
    "admin_from",
    "left_to_id",
    "promised_by_id",
    "promised_on",
    "promised_booking",
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
Sources = Mapping[str, tuple[str, tuple[str, ...]]]
FIRST_SOURCES: Sources = {
    "patients_patient": ("id", ("clinic_id", "email", "email_bounced_on")),
    "patients_contactwish": ("patient_id", ("channel", "allowed")),
    "monitoring_hipevaluation": ("patient_id", ("pathway", "status", "anchor_on", "due_on")),
    "monitoring_flag": ("patient_id", ("action", "closed_at")),
    "monitoring_reviewcase": ("patient_id", ("state", "urgency", "act_by")),
    "monitoring_snooze": ("patient_id", ("until", "ended_at")),
    "schedules_appointment": ("patient_id", ("state", "purpose", "starts_at")),
    "schedules_substitute": ("patient_id", ("state", "channel", "until", "waits_until", "next_on")),
}
ADDED_SOURCE = "monitoring_contactattempt"
SOURCES: Sources = {
    **FIRST_SOURCES,
    "patients_patient": ("id", ("clinic_id", "email", "email_bounced_on", "responsible_id", "language")),
    "monitoring_hipevaluation": (
        "patient_id",
        ("pathway", "status", "anchor_on", "due_on", "overdue_on", "gap_on", "answer -> 'window'"),
    ),
    ADDED_SOURCE: ("patient_id", ("owner_id", "by_id", "outcome", "next_on", "at", "undone_at")),
}


def _listed(codes: tuple[str, ...]) -> str:
    return ", ".join(f"'{code}'" for code in codes)


_RISK = " ".join(f"WHEN '{pathway}' THEN {risk}" for pathway, risk in RISK.items())

_LATE = "e.status IN ('overdue', 'gap')"
_WINDOW = "(e.answer -> 'window' ->> '{}_on')::date"
_SAID = f"""
    p.id AS patient_id, p.clinic_id,
    coalesce(h.risk, {NOT_EVALUATED}) * 10000000 + coalesce(h.first_due - DATE '1900-01-01', {FAR}) AS rank,
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
    k.call_from, k.call_until"""  # noqa: S608 - names and codes of our own, here and below
_ADDED = """,
    p.responsible_id, p.language, coalesce(h.pathways, '{}') AS pathways, h.due_on, h.overdue_on, h.clinician_from,
    h.admin_from, t.left_to_id, t.promised_by_id, t.promised_on,
    coalesce(t.promised_booking, false) AS promised_booking"""
_FROM = f"""
FROM patients_patient p
CROSS JOIN LATERAL (SELECT
        min(CASE e.pathway {_RISK} ELSE {OTHER_RISK} END) AS risk,
        min(e.due_on) AS first_due,
        bool_or(e.status IS NOT NULL) AS followed,
        bool_or({_LATE}) AS late,
        bool_or(e.status IN ('open', 'due')) AS open,
        bool_or(e.status IS NOT NULL AND e.anchor_on IS NULL) AS never_started,
        array_agg(DISTINCT e.pathway) AS pathways,
        min(e.due_on) FILTER (WHERE e.status IS NOT NULL) AS due_on,
        max(e.overdue_on) FILTER (WHERE {_LATE}) AS overdue_on,
        min({_WINDOW.format("escalate")}) FILTER (WHERE {_LATE}) AS clinician_from,
        min(least({_WINDOW.format("trace")}, e.gap_on)) FILTER (WHERE {_LATE}) AS admin_from
    FROM monitoring_hipevaluation e WHERE e.patient_id = p.id) h
CROSS JOIN LATERAL (SELECT min(CASE c.urgency WHEN 'URGENT' THEN 0 ELSE 1 END) * 10000000
        + coalesce(min(c.act_by) - DATE '1900-01-01', {FAR}) AS rank
    FROM monitoring_reviewcase c WHERE c.patient_id = p.id AND c.state = 'open') r
CROSS JOIN LATERAL (SELECT min(coalesce(greatest(b.waits_until, b.next_on), DATE '1900-01-01')) AS call_from,
        min(b.until) AS call_until
    FROM schedules_substitute b
    WHERE b.patient_id = p.id AND b.state = 'open' AND b.channel = 'telephone') k"""  # noqa: S608
# A booked day is a promise of the patient's: whether it was kept is looked at the day after.
_CONTACT = """
LEFT JOIN LATERAL (SELECT c.owner_id AS left_to_id, coalesce(c.owner_id, c.by_id) AS promised_by_id,
        c.next_on + (c.outcome = 'booked')::int AS promised_on, c.outcome = 'booked' AS promised_booking
    FROM monitoring_contactattempt c WHERE c.patient_id = p.id AND c.undone_at IS NULL
    ORDER BY c.at DESC, c.id DESC LIMIT 1) t ON true"""

# Read by the application it shows the rows of the transaction's clinics only: `security_invoker`.
_VIEW = "VIEW monitoring_standing_now WITH (security_invoker = true) AS SELECT"
FIRST_VIEW = f"CREATE {_VIEW}{_SAID}{_FROM}"
VIEW = f"CREATE OR REPLACE {_VIEW}{_SAID}{_ADDED}{_FROM}{_CONTACT}"


def refresh(columns: Sequence[str], *settings: str) -> str:
    """The function that brings standings up to date. Their rows are locked first: whoever waits for another's lock
    then reads what the other wrote.
    """
    names, others = ", ".join(columns), columns[1:]
    return f"""
CREATE OR REPLACE FUNCTION refresh_standings(patients bigint[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp {" ".join(f"SET {one}" for one in settings)} AS $$
BEGIN
    IF patients IS NULL THEN RETURN; END IF;
    PERFORM FROM monitoring_standing WHERE patient_id = ANY (patients) ORDER BY patient_id FOR NO KEY UPDATE;
    INSERT INTO monitoring_standing AS known ({names})
    SELECT {names} FROM monitoring_standing_now WHERE patient_id = ANY (patients) ORDER BY patient_id
    ON CONFLICT (patient_id) DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in others)}
    WHERE ({", ".join(f"known.{name}" for name in others)})
        IS DISTINCT FROM ({", ".join(f"excluded.{name}" for name in others)});
END $$
"""  # noqa: S608


# As 0020 and 0023 set them: by index also in an empty registry, planned once a session.
SETTINGS = (
    "enable_seqscan = off",
    "enable_hashjoin = off",
    "enable_mergejoin = off",
    "plan_cache_mode = force_generic_plan",
)

FILL = (
    f"INSERT INTO monitoring_standing ({', '.join(FIRST_COLUMNS)})"  # noqa: S608
    f" SELECT {', '.join(FIRST_COLUMNS)} FROM monitoring_standing_now"
)

# The row goes with its patient, and can name no other clinic than the patient's.
TIE = """
ALTER TABLE monitoring_standing ADD CONSTRAINT standing_of_its_patient
FOREIGN KEY (patient_id, clinic_id) REFERENCES patients_patient (id, clinic_id) ON UPDATE CASCADE ON DELETE CASCADE
"""


def follow(table: str, sources: Sources) -> str:
    """The function that brings the standings of all patients up to date whose rows of `table` a statement changed."""
    patient, columns = sources[table]
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
    return (
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger"
        f" LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $${body} $$"
    )


def triggers_on(table: str, sources: Sources) -> list[str]:
    """Statements after which every statement that changes `table` brings the standings of its patients up to date."""
    name = f"standing_after_{table}"
    rows = {"INSERT": "NEW TABLE AS new_rows", "DELETE": "OLD TABLE AS old_rows"}
    rows["UPDATE"] = "OLD TABLE AS old_rows NEW TABLE AS new_rows"
    return [
        follow(table, sources),
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
    """0017: the view, the triggers and the first filling."""
    triggers = [one for table in FIRST_SOURCES for one in triggers_on(table, FIRST_SOURCES)]
    return [TIE, FIRST_VIEW, refresh(FIRST_COLUMNS), *triggers, FILL]


def unmake() -> list[str]:
    return [
        *(one for table in FIRST_SOURCES for one in no_triggers_on(table)),
        "DROP FUNCTION refresh_standings(bigint[])",
        "DROP VIEW monitoring_standing_now",
    ]


def widen() -> list[str]:
    """0030: what the filters of lists ask for. The rows are brought up to date afterwards, a few at a time."""
    changed = [table for table in FIRST_SOURCES if SOURCES[table] != FIRST_SOURCES[table]]
    return [
        VIEW,
        refresh(COLUMNS, *SETTINGS),
        *(follow(table, SOURCES) for table in changed),
        *triggers_on(ADDED_SOURCE, SOURCES),
    ]


def narrow() -> list[str]:
    """Back to 0017. The view is made anew, as it cannot lose columns; what may read it stays the same."""
    changed = [table for table in FIRST_SOURCES if SOURCES[table] != FIRST_SOURCES[table]]
    return [
        *no_triggers_on(ADDED_SOURCE),
        *(follow(table, FIRST_SOURCES) for table in changed),
        refresh(FIRST_COLUMNS, *SETTINGS),
        "DROP VIEW monitoring_standing_now",
        FIRST_VIEW,
    ]
