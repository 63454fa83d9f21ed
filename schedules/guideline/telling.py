"""Telling: an answer as plain text for a person at a terminal."""

from collections.abc import Iterator

from .evaluation import Answer, HipAnswer
from .findings import Finding


def tell(answer: Answer) -> str:
    """The whole answer, left hip first, a line a fact and a short paragraph a finding."""
    due = f"Next visit due {answer.due_on}." if answer.due_on else "No visit is due."
    lines = [f"{answer.protocol}, as of {answer.as_of}. {due}"]
    for hip in answer.hips:
        lines += ["", *_hip_lines(hip)]
    return "\n".join(lines)


def _hip_lines(hip: HipAnswer) -> Iterator[str]:
    status = f", {hip.status.value}" if hip.status else ""
    yield f"{hip.side.value.upper()} HIP: {_words(hip.pathway.value)}{status}"
    yield f"  {hip.because}"
    yield f"  {_state(hip)}"
    if window := hip.window:
        last = f"last complete follow-up {window.anchor_on}" if window.anchor_on else "never started"
        yield (
            f"  Window: {last}; opens {window.opens_on}, due {window.due_on}, overdue {window.overdue_on}, "
            f"escalated {window.escalate_on}, traced {window.trace_on}, gap {window.gap_on}"
        )
    yield f"  Next change: {hip.next_change_on or 'none'}"
    if not hip.findings:
        yield "  Nothing is asked."
    for finding in hip.findings:
        yield from _finding_lines(finding)


def _state(hip: HipAnswer) -> str:
    volume = f"{hip.volume_percent} % ({_words(hip.size_band.value)})" if hip.size_band else "not measured"
    hurts = {True: "yes", False: "no", None: "not known"}[hip.symptomatic]
    risks = ", ".join(_words(factor.value) for factor in hip.risk_factors) or "none known"
    unknown = ", ".join(_words(factor.value) for factor in hip.unknown_risk_factors)
    phase = _words(hip.phase.name) if hip.phase else "none known"
    return f"Phase: {phase}. Volume: {volume}. Symptoms: {hurts}. Risk factors: {risks}" + (
        f"; not recorded: {unknown}." if unknown else "."
    )


def _finding_lines(finding: Finding) -> Iterator[str]:
    by = f", act by {finding.act_by}" if finding.act_by else ""
    step = f" ({finding.step.value})" if finding.step else ""
    yield f"  {finding.urgency.value:<6} {finding.rule} {_words(finding.action.value)}{step} since {finding.since}{by}"
    yield f"         {finding.because}"


def _words(code: str) -> str:
    return code.replace("_", " ").lower()
