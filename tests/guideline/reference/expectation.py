"""How a case's `expect` is compared with an answer: a part of it, key by key."""


def mismatches(expect, answer):
    """Each key of `expect` that the answer does not have so, as text; empty when all agree."""
    wrong = [
        f"{key}: expected {value!r}, got {answer.get(key)!r}"
        for key, value in expect.items()
        if key != "hips" and answer.get(key) != value
    ]
    for hip in expect.get("hips", []):
        found = next(item for item in answer["hips"] if item["side"] == hip["side"])
        wrong += [f"{hip['side']}: {text}" for text in hip_mismatches(hip, found)]
    return wrong


def hip_mismatches(expect, hip):
    rules = [finding["rule"] for finding in hip["findings"]]
    by_rule = {finding["rule"]: finding for finding in hip["findings"]}
    checks = {
        "findings": lambda want: sorted(rules) == sorted(want),
        "findings_order": lambda want: rules == want,
        "findings_include": lambda want: set(want) <= set(rules),
        "findings_exclude": lambda want: not set(want) & set(rules),
        "findings_detail": lambda want: all(
            all(by_rule.get(rule, {}).get(key) == value for key, value in fields.items())
            for rule, fields in want.items()
        ),
        "window": lambda want: (
            hip["window"] is None
            if want is None
            else hip["window"] is not None and all(hip["window"][key] == value for key, value in want.items())
        ),
    }
    shown = {"findings_order": rules, "findings_include": rules, "findings_exclude": rules, "findings_detail": by_rule}
    return [
        f"{key}: expected {value!r}, got {shown.get(key, hip.get(key))!r}"
        for key, value in expect.items()
        if not checks.get(key, lambda want, key=key: hip.get(key) == want)(value)
    ]
