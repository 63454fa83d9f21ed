"""Lives: one invented patient lived forward day by day, seen when the guideline's own evaluation says so.

Pure: the record grows as it would in a clinic, each due date comes from the engine that the registry uses, and what a
finding asks for is done after a while, or late, or not. `live` gives the same life for the same setting and number.
"""

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import count
from random import Random
from typing import Any, Final

from patients import record as facts
from patients.record import HipRecord, PatientRecord
from patients.vocabulary import (
    Action,
    Adjunct,
    Condition,
    EndReason,
    Outcome,
    ProcedureKind,
    Side,
    StagingSystem,
)
from schedules.guideline.evaluation import Answer, HipAnswer, evaluate
from schedules.guideline.findings import Finding
from schedules.guideline.protocol import Protocol
from schedules.guideline.windows import Window

from . import examination
from .attendance import BOTH_VIEWS, NO_REPORT_OF_THE_DAY, Films, Start, day_of_visit, draw_films, draw_habits
from .clinic_ways import DECIDED, DONE_WITHIN, NEVER_DONE, OTHERWISE, OUTCOMES, REASONS, SLOW_DECISIONS
from .examination import Hip
from .lived import LISTS, Answered, Asked, Attended, Fact, Kept, LivedPatient, Told, VisitKind
from .natural_history import (
    SMALL_LESION_REGISTRY,
    Course,
    SmallLesions,
    after_decompression,
    asymptomatic_at_start,
    draw_course,
    draw_lesion,
)
from .people import draw_person


@dataclass(frozen=True, slots=True)
class Setting:
    """What a life depends on besides its number. Nothing happens on `as_of` itself or later."""

    seed: int
    as_of: date
    years: float
    language: str
    protocol: Protocol
    small: SmallLesions = SmallLesions.HERNIGOU


def live(setting: Setting, number: int) -> LivedPatient:
    """The life of this number. Numbers are independent of one another, so any range of them can be lived alone."""
    return _Life(setting, number).run()


_YEAR: Final = 365.25


class _Life:
    """The bookkeeping of one life: a queue of days on which something happens."""

    def __init__(self, setting: Setting, number: int) -> None:
        self.setting = setting
        self.rng = Random(f"{setting.seed}:{number}")
        self.last = setting.as_of - timedelta(days=1)
        enrolled_on = self._enrolment()
        person = draw_person(number, language=setting.language, day=enrolled_on, rng=self.rng)
        self.life = LivedPatient(number, person, draw_habits(self.rng), enrolled_on)
        self.life.rng = Random(f"{setting.seed}:{number}:after")
        self.record = PatientRecord(
            enrolled_on=enrolled_on, born_on=person.born_on, conditions=frozenset(person.causes)
        )
        self.bmi = self.rng.gauss(24.0, 3.2)
        self.wants_angle = self.rng.random() < 0.5
        self.keys = count(1)
        self.order = count()
        self.queue: list[tuple[date, int, Callable[[date], bool]]] = []
        self.hips = self._hips()
        self.before: Answer | None = None
        self.next_due: tuple[date, date] | None = None
        self.next_visit = 0
        self.doing: set[tuple[Side, Action, date]] = set()
        self.over = False

    # ---- The beginning

    def _enrolment(self) -> date:
        """Spread over the years, a little more of late."""
        days = self.setting.years * _YEAR
        return self.setting.as_of - timedelta(days=max(1, round(days * self.rng.random() ** 1.15)))

    def _hips(self) -> dict[Side, Hip]:
        index = self.rng.choice(list(Side))
        hips = {index: self._diseased(index, index_hip=True)}
        both = self.rng.random() < 0.55
        hips[index.other] = self._diseased(index.other, index_hip=False) if both else Hip(index.other, None)
        return hips

    def _diseased(self, side: Side, *, index_hip: bool) -> Hip:
        rng = self.rng
        lesion = draw_lesion(SMALL_LESION_REGISTRY, rng)
        sickle = Condition.SICKLE_CELL in self.life.person.causes

        def draw(chance: Random) -> Course:
            return draw_course(lesion, sickle_cell_disease=sickle, small=self.setting.small, rng=chance)

        course = draw(rng) if index_hip else asymptomatic_at_start(draw, rng)
        if index_hip and rng.random() < 0.18:  # came because it hurts
            course = Course(min(course.symptoms, -rng.uniform(0.05, 0.8)), course.collapse)
        hip = Hip(side, lesion, staged_in=self._system())
        hip.follow(course, self.life.enrolled_on, rng)
        years = 0.0 if rng.random() < 0.45 else rng.expovariate(1 / 9)
        hip.sclerotic_on = self.life.enrolled_on + timedelta(days=round(min(years, 100) * _YEAR))
        return hip

    def _system(self) -> tuple[StagingSystem, str]:
        return self.rng.choices(list(examination.STAGES), (86, 7, 7))[0]

    def run(self) -> LivedPatient:
        self._schedule_the_beginning()
        while self.queue and not self.over:
            day, _order, happens = heapq.heappop(self.queue)
            if day > self.last:
                break
            if happens(day) and not self.over:
                self._think(day)
        self.life.record = self.record
        self.life.answer = evaluate(self.record, self.setting.protocol, self.setting.as_of)
        self._note_windows(self.life.answer, self.setting.as_of)
        return self.life

    def _schedule_the_beginning(self) -> None:
        start, life = self.life.enrolled_on, self.life
        if life.habits.start is Start.AT_ENROLMENT:
            self._at(start, self._baseline)
        else:
            self._at(start, self._referral)
        self._at(start + timedelta(days=round(self.rng.expovariate(0.009) * _YEAR)), self._die)
        self._at(start + timedelta(days=round(self.rng.expovariate(0.026) * _YEAR)), self._leave)
        for hip in self.hips.values():
            if life.habits.reports_pain and hip.lesion and start < hip.hurts_on <= self.last:
                self._at(hip.hurts_on + timedelta(days=self.rng.randint(3, 25)), self._report_of(hip))

    def _at(self, day: date, happens: Callable[[date], bool]) -> None:
        if day <= self.last:
            heapq.heappush(self.queue, (day, next(self.order), happens))

    # ---- Writing down

    def _key(self) -> str:
        return f"f{next(self.keys)}"

    def _attend(self, day: date, kind: VisitKind, note: str = "") -> int:
        self.life.visits.append(Attended(day, kind, note))
        return len(self.life.visits) - 1

    def _tell(self, day: date, side: Side, fact: Fact, *, visit: int | None = None, **details: Any) -> None:
        hip = self.record.hip(side)
        name = LISTS[type(fact)]
        longer: dict[str, Any] = {name: (*getattr(hip, name), fact)}
        self._put(replace(hip, **longer))
        self.life.told.append(Told(day, side, fact, visit, details))

    def _put(self, hip: HipRecord) -> None:
        if hip.side is Side.LEFT:
            self.record = replace(self.record, left=hip)
        else:
            self.record = replace(self.record, right=hip)

    # ---- What happens

    def _baseline(self, day: date) -> bool:
        """The first visit: both hips examined, imaged and staged, though not every work-up is finished."""
        visit = self._attend(day, "clinic", "First visit.")
        imaged_on = day - timedelta(days=self.rng.randint(0, 24))
        self._weigh(day, visit)
        for hip in self.hips.values():
            known = hip.lesion is not None or self.rng.random() < 0.93
            if known and self.rng.random() < 0.94:
                measured = self.rng.random() < 0.9
                self._scan(hip, day, imaged_on, visit, measured=measured)
            if hip.lesion is None:
                self._tell(day, hip.side, examination.clinicians_report(self._key(), hip, day, self.rng), visit=visit)
                self._plan_yearly_mr(hip, imaged_on)
                continue
            self._examine(hip, day, visit)
            self._tell(day, hip.side, examination.staging(self._key(), hip, day), visit=visit, modality_used="MR")
            self._locate(hip, day, visit)
        return True

    def _referral(self, day: date) -> bool:
        """Enrolled by a letter with an outside MR of the worse hip; not seen yet."""
        visit = self._attend(day, "report", "Enrolled by letter of referral.")
        hip = next(hip for hip in self.hips.values() if hip.lesion)
        imaged_on = day - timedelta(days=self.rng.randint(5, 40))
        measured = self.rng.random() < 0.6
        self._scan(hip, day, imaged_on, visit, measured=measured)
        return True

    def _scan(self, hip: Hip, day: date, imaged_on: date, visit: int, *, measured: bool = True) -> None:
        """An MR of `imaged_on`, told on `day`."""
        scan = examination.magnetic_resonance(self._key(), hip, imaged_on, self.rng, measured=measured)
        self._tell(day, hip.side, scan, visit=visit)

    def _weigh(self, day: date, visit: int) -> None:
        self.bmi = max(17.0, self.bmi + self.rng.gauss(0, 0.4))
        reading = examination.body_mass_index(self._key(), day, self.bmi)
        self.record = replace(self.record, bmi=(*self.record.bmi, reading))
        self.life.told.append(Told(day, None, reading, visit))

    def _locate(self, hip: Hip, day: date, visit: int) -> None:
        if hip.lesion and not self.record.hip(hip.side).locations and self.rng.random() < 0.9:
            where = examination.location(self._key(), hip.lesion, day, with_angle=self.wants_angle)
            self._tell(day, hip.side, where, visit=visit, modality_used="MR")

    def _native(self) -> list[Hip]:
        """Hips that are still followed: not replaced, not ended."""
        return [hip for hip in self.hips.values() if not self._is_out(hip.side)]

    def _is_out(self, side: Side) -> bool:
        hip = self.record.hip(side)
        replaced = any(p.kind is ProcedureKind.THA for p in hip.procedures)
        taken_back = {ending.supersedes for ending in hip.endings}
        ended = any(e.reason is not EndReason.REOPENED and e.id not in taken_back for e in hip.endings)
        return replaced or ended

    def _examine(self, hip: Hip, day: date, visit: int, *, films: Films | None = None) -> None:
        """Radiographs and the clinician's report of one hip, and scores from time to time."""
        films = films or draw_films(self.rng)
        self._tell(day, hip.side, examination.radiograph(self._key(), hip, day, films, self.rng), visit=visit)
        if self.rng.random() < NO_REPORT_OF_THE_DAY:
            return
        report = examination.clinicians_report(self._key(), hip, day, self.rng)
        self._tell(day, hip.side, report, visit=visit, pain_site="groin" if report.pain_nrs else "")
        last = max((score.on for score in self.record.hip(hip.side).scores), default=date.min)
        if (day - last).days > 300:
            level = report.pain_nrs or 0
            for score, details in (
                examination.harris(self._key(), day, level, self.rng),
                examination.hoos(self._key(), day, level, self.rng),
            ):
                self._tell(day, hip.side, score, visit=visit, **details)

    def _follow_up(self, day: date) -> bool:
        """A visit in clinic: every hip that is still followed."""
        native = self._native()
        if not native:
            return False
        if not any(attended.kind == "clinic" for attended in self.life.visits):
            return self._baseline(day)
        visit = self._attend(day, "clinic")
        if self.rng.random() < 0.4:
            self._weigh(day, visit)
        films = draw_films(self.rng)
        for hip in native:
            if hip.lesion is None:
                report = examination.clinicians_report(self._key(), hip, day, self.rng)
                self._tell(day, hip.side, report, visit=visit)
                continue
            self._examine(hip, day, visit, films=films)
            self._stage(hip, day, visit)
            self._scan_again(hip, day, visit)
            self._locate(hip, day, visit)
        return True

    def _plan_yearly_mr(self, hip: Hip, last: date) -> None:
        """A hip without necrosis beside an affected one goes to MR once a year; a few of these are forgotten."""
        if self.rng.random() < 0.96:
            self._at(last + timedelta(days=self.rng.randint(310, 362)), self._yearly_mr_of(hip))

    def _yearly_mr_of(self, hip: Hip) -> Callable[[date], bool]:
        def scan(day: date) -> bool:
            done = self._do(hip.side, Action.BASELINE_MRI, day)
            if done:
                self._plan_yearly_mr(hip, day)
            return done

        return scan

    def _last_mr(self, side: Side) -> date:
        return max(
            (study.on for study in self.record.hip(side).imaging if study.necrosis is not None), default=date.min
        )

    def _stage(self, hip: Hip, day: date, visit: int) -> None:
        """Staged again when it changed, and once a year; misread now and then."""
        readings = self.record.hip(hip.side).stagings
        now = examination.staging(self._key(), hip, day)
        if not readings or now.code != readings[-1].code or (day - readings[-1].on).days > 330:
            misread = hip.phase(day) > 0 and self.rng.random() < 0.02
            reading = examination.staging(now.id, hip, day, lower=1) if misread else now
            self._tell(day, hip.side, reading, visit=visit, modality_used="XR")

    def _scan_again(self, hip: Hip, day: date, visit: int) -> None:
        """MR is repeated when pain began since the last one, and every other year."""
        last = self._last_mr(hip.side)
        if last == date.min:
            return  # its first MR is asked for by a finding
        age = (day - last).days
        if age > 800 or (hip.hurts(day) and last < hip.hurts_on and age > 90 and self.rng.random() < 0.6):
            self._scan(hip, day, day, visit)

    def _report_of(self, hip: Hip) -> Callable[[date], bool]:
        def report(day: date) -> bool:
            if self._is_out(hip.side):
                return False
            visit = self._attend(day, "report", "The patient wrote that it hurts.")
            told = examination.patients_report(self._key(), hip, day, self.rng)
            self._tell(day, hip.side, told, visit=visit, pain_site="groin")
            return True

        return report

    def _die(self, day: date) -> bool:
        self.life.died_on = day
        self.life.death_source = self.rng.choice(("Hospital notice", "Letter of the family", "General practitioner"))
        self.record = replace(self.record, died_on=day)
        self.over = True
        return False

    def _leave(self, day: date) -> bool:
        """Transferred, declined in writing, discharged or entered in error."""
        reason = self.rng.choices(
            (EndReason.TRANSFERRED, EndReason.DECLINED_IN_WRITING, EndReason.DISCHARGED, EndReason.ENTERED_IN_ERROR),
            (50, 27, 18, 5),
        )[0]
        hips = self._native()
        if not hips:
            return False
        visit = self._attend(day, "report", "Follow-up ended.")
        endings = [facts.Ending(self._key(), day, reason) for _hip in hips]
        for hip, ending in zip(hips, endings, strict=True):
            receiving = "Westmere General Hospital" if reason is EndReason.TRANSFERRED else ""
            self._tell(
                day,
                hip.side,
                ending,
                visit=visit,
                receiving_clinic=receiving,
                evidence=f"Letter of {day.day} {day:%b %Y}",
            )
        later = day + timedelta(days=self.rng.randint(25, 200))
        if reason is EndReason.TRANSFERRED and self.rng.random() < 0.2:
            self._at(later, self._outside_film_of(hips[0]))
        elif reason is EndReason.DECLINED_IN_WRITING and self.rng.random() < 0.25:
            self._at(later, self._reopening_of({h.side: e for h, e in zip(hips, endings, strict=True)}))
        return True

    def _outside_film_of(self, hip: Hip) -> Callable[[date], bool]:
        def arrive(day: date) -> bool:
            visit = self._attend(day, "report", "Film sent by another hospital.")
            film = examination.radiograph(self._key(), hip, day, Films(BOTH_VIEWS, readable=True), self.rng)
            self._tell(day, hip.side, film, visit=visit)
            return True

        return arrive

    def _reopening_of(self, endings: Mapping[Side, facts.Ending]) -> Callable[[date], bool]:
        def reopen(day: date) -> bool:
            visit = self._attend(day, "telephone", "The patient wants to be followed again.")
            for side, ending in endings.items():
                again = facts.Ending(self._key(), day, EndReason.REOPENED, supersedes=ending.id)
                why = {"evidence": "Telephone call", "correction_reason": "The patient wants to be followed again."}
                self._tell(day, side, again, visit=visit, **why)
            return True

        return reopen

    # ---- What the evaluation asks for

    def _think(self, day: date) -> None:
        """Evaluate, and put what follows on the calendar."""
        answer = evaluate(self.record, self.setting.protocol, day)
        self._note_windows(answer, day)
        for hip in answer.hips:
            for finding in hip.findings:
                self._respond(hip.side, finding, day)
        self._book(answer, day)

    def _note_windows(self, answer: Answer, day: date) -> None:
        """Remember what was asked of the patient, and the cycles of each hip that are over."""
        windows = [(window.due_on, cycle_on, window) for window, cycle_on in self._windows(answer)]
        if windows:
            _due, cycle_on, window = min(windows, key=lambda found: found[:2])
            if not self.life.asked or (self.life.asked[-1].cycle_on, self.life.asked[-1].window) != (cycle_on, window):
                self.life.asked.append(Asked(day, cycle_on, window))
        if self.before:
            for old, new in zip(self.before.hips, answer.hips, strict=True):
                self._note_cycle(old, new)
        self.before = answer

    def _windows(self, answer: Answer) -> list[tuple[Window, date]]:
        """Each hip's window with the first day of its cycle."""
        enrolled_on = self.life.enrolled_on
        return [(hip.window, hip.window.anchor_on or enrolled_on) for hip in answer.hips if hip.window]

    def _note_cycle(self, old: HipAnswer, new: HipAnswer) -> None:
        if old.window is None:
            return
        cycle_on = old.window.anchor_on or self.life.enrolled_on
        if new.window is None:
            self.life.kept.append(Kept(old.side, cycle_on, old, None))
        elif (new.window.anchor_on or self.life.enrolled_on) > cycle_on:
            self.life.kept.append(Kept(old.side, cycle_on, old, new.window.anchor_on))

    def _book(self, answer: Answer, day: date) -> None:
        """The next visit follows the due date; a date that moved is kept or missed anew."""
        due = [(window.due_on, cycle_on) for window, cycle_on in self._windows(answer)]
        wanted = min(due, default=None)
        if wanted == self.next_due:
            return
        self.next_due = wanted
        self.next_visit += 1
        if wanted is None:
            return
        comes_on = day_of_visit(wanted[0], self.life.habits, self.rng)
        if comes_on is not None:
            number = self.next_visit
            earliest = day + timedelta(days=self.rng.randint(2, 9))
            self._at(max(comes_on, earliest), lambda on: self.next_visit == number and self._follow_up(on))

    def _respond(self, side: Side, finding: Finding, day: date) -> None:
        """Somebody deals with a finding after a while, once."""
        key = (side, finding.action, finding.since)
        if key in self.doing or self._is_out(side) != (finding.action is Action.REVIEW_ENDING):
            return
        if finding.action in DECIDED:
            self.doing.add(key)
            delay = self._delay_of_decision(finding)
            self._at(max(day, finding.since) + timedelta(days=delay), lambda on: self._decide(side, finding, on))
        elif finding.action in DONE_WITHIN:
            self.doing.add(key)
            delay = self.rng.randint(*DONE_WITHIN[finding.action])
            if self.life.habits.start is not Start.NEVER and self.rng.random() > NEVER_DONE:
                self._at(day + timedelta(days=delay), lambda on: self._do(side, finding.action, on))

    def _delay_of_decision(self, finding: Finding) -> int:
        if self.rng.random() < SLOW_DECISIONS:
            return self.rng.randint(35, 120)
        return max(0, round(self.rng.lognormvariate(2.9, 0.6)))

    def _decide(self, side: Side, finding: Finding, day: date) -> bool:
        if self._is_out(side) != (finding.action is Action.REVIEW_ENDING):
            return False
        choices = OUTCOMES.get(finding.action, OTHERWISE)
        outcome = self.rng.choices([o for o, _ in choices], [w for _, w in choices])[0]
        decision = facts.Decision(self._key(), day, finding.action, outcome)
        self._tell(day, side, decision, reason=self.rng.choice(REASONS[outcome]))
        self.life.answered.append(Answered(side, finding, decision.id, day))
        if outcome is Outcome.OPERATE:
            self._at(day + timedelta(days=self.rng.randint(14, 70)), lambda on: self._operate(side, on))
        return True

    def _operate(self, side: Side, day: date) -> bool:
        """Core decompression before collapse, once; else arthroplasty."""
        hip = self.hips[side]
        if self._is_out(side) or hip.lesion is None:
            return False
        asked = {finding.action for finding in self._answers_to(side)}
        known_collapse = bool(asked & {Action.COLLAPSE_REVIEW, Action.ARTHROPLASTY_REVIEW})
        done = any(p.kind is ProcedureKind.CORE_DECOMPRESSION for p in self.record.hip(side).procedures)
        if known_collapse or done or hip.collapsed(day):
            self._tell(day, side, facts.Procedure(self._key(), day, ProcedureKind.THA), intent="therapeutic")
            return True
        adjuncts = frozenset({Adjunct.AUTOLOGOUS_MARROW}) if self.rng.random() < 0.6 else frozenset()
        surgery = facts.Procedure(self._key(), day, ProcedureKind.CORE_DECOMPRESSION, adjuncts)
        intent = "therapeutic" if hip.hurts(day) else "prophylactic"
        self._tell(day, side, surgery, intent=intent)
        hip.follow(after_decompression(hip.lesion, self.rng), day, self.rng)
        return True

    def _answers_to(self, side: Side) -> list[Finding]:
        return [answered.finding for answered in self.life.answered if answered.side is side]

    def _do(self, side: Side, action: Action, day: date) -> bool:
        """What was asked for is done: an image, a missing view, a report."""
        hip = self.hips[side]
        if self._is_out(side):
            return False
        if action in (Action.URGENT_RADIOGRAPH, Action.REPEAT_VIEWS, Action.BASELINE_RADIOGRAPH):
            visit = self._attend(day, "clinic", "Seen between the usual visits.")
            for other in self._native():
                if other.lesion is not None or other is hip:
                    self._examine(other, day, visit, films=Films(BOTH_VIEWS, readable=True))
        elif action is Action.RECORD_CLINICAL_REVIEW:
            visit = self._attend(day, "telephone")
            self._tell(day, side, examination.clinicians_report(self._key(), hip, day, self.rng), visit=visit)
        elif action is Action.CT_HIP:
            visit = self._attend(day, "report", "CT report.")
            self._tell(day, side, examination.computed_tomography(self._key(), hip, day), visit=visit)
        elif action is Action.MEASURE_VOLUME:
            self._measure(hip, day)
        else:
            visit = self._attend(day, "report", "MR report.")
            self._scan(hip, day, day, visit)
        return True

    def _measure(self, hip: Hip, day: date) -> None:
        """Radiology adds the volume to the MR that lacked it."""
        out = {study.supersedes for study in self.record.hip(hip.side).imaging}
        scans = [s for s in self.record.hip(hip.side).imaging if s.modality.value == "MR" and s.id not in out]
        if not scans or hip.lesion is None:
            return
        visit = self._attend(day, "report", "Volume reported by radiology.")
        complete = examination.magnetic_resonance(self._key(), hip, scans[-1].on, self.rng)
        measured = replace(
            scans[-1],
            id=complete.id,
            supersedes=scans[-1].id,
            lesion_volume_percent=complete.lesion_volume_percent,
            lesion_volume_cm3=complete.lesion_volume_cm3,
            volume_method=complete.volume_method,
        )
        self._tell(day, hip.side, measured, visit=visit, correction_reason="Volume measured by radiology.")
