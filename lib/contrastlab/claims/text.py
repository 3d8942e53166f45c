"""The ledger as JSON, as plain text, and as the cells of tables."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .. import paper
from .effects import RULE, Effect, Fact
from .gaps import Gap
from .ledger import MISSING, Finding, Row

DECIMALS = 4


Cells = tuple[tuple[str, ...], list[tuple[str, ...]]]  # what contrastlab.tables.Table takes: a header, and rows


def as_json(rows: Sequence[Row], open_points: Sequence[Gap]) -> dict[str, Any]:
    """The whole ledger with every number, rounded to four decimals so that it is the same on every machine."""
    return {"rule": RULE, "claims": [_claim(row) for row in rows], "gaps": [_gap(gap) for gap in open_points]}


def to_bytes(rows: Sequence[Row], open_points: Sequence[Gap]) -> bytes:
    """The ledger as a JSON file."""
    return (json.dumps(as_json(rows, open_points), indent=1) + "\n").encode()


def as_text(rows: Sequence[Row], open_points: Sequence[Gap]) -> str:
    """The ledger for a terminal: a line a claim, below it what each data set says; then the open points."""
    lines = []
    for row in rows:
        lines += [f"{row.claim.name:<4} {row.verdict.upper()}: {row.claim.says}. (chapter {row.claim.chapter})"]
        lines += [f"     checked: {row.claim.check}"]
        for finding in row.findings:
            lines += [f"     {_headline(finding)}", *(f"       {_line(result)}" for result in finding.results)]
        lines += [f"     the paper's Table 1: {line}" for line in _own_table(row)]
    for gap in open_points:
        lines += [f"{gap.name:<4} {gap.says} (chapter {gap.chapter})"]
        lines += [f"     {what}: {_value(value)}" for what, value in gap.numbers.items()]
        lines += [f"     {missing}" for missing in gap.missing]
    return "\n".join([*lines, "", RULE])


def comparison(rows: Sequence[Row], committed: Path) -> str:
    """How these verdicts stand beside those of a ledger that was written as JSON: a line a data set.

    Verdicts over all data sets would not tell, because other records may lack one of them.
    Raises ValueError for a file that is no such ledger.
    """
    if not committed.is_file():
        return f"\nThere is no {committed} to compare these verdicts with."
    try:
        claims = json.loads(committed.read_text(encoding="utf-8"))["claims"]
        known = {(claim["claim"], one["data"]): one["verdict"] for claim in claims for one in claim["findings"]}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{committed} is no ledger: {error}. Write one: contrastlab claims --json PATH") from error
    found: dict[str, list[tuple[str, str, str]]] = {}
    for row in rows:
        for one in row.findings:
            verdicts = one.verdict, known.get((row.claim.name, one.data), "not there")
            found.setdefault(one.data, []).append((row.claim.name, *verdicts))
    lines = [f"{data}: {_beside(verdicts)}" for data, verdicts in found.items()]
    return "\n".join(["", f"Beside the verdicts of {committed}:", *lines])


def _beside(verdicts: Sequence[tuple[str, str, str]]) -> str:
    """Verdicts (claim, here, there) in a line."""
    judged = [(name, here, there) for name, here, there in verdicts if here != MISSING]
    others = [f"{name} ({here}; there {there})" for name, here, there in judged if here != there]
    missing = [name for name, here, _ in verdicts if here == MISSING]
    parts = [f"{len(judged) - len(others)} of {len(judged)} the same"] if judged else []
    parts += [f"different: {', '.join(others)}"] if others else []
    parts += [f"these records cannot judge {', '.join(missing)}"] if missing else []
    return "; ".join(parts)


def overview(rows: Sequence[Row]) -> Cells:
    """Every claim with the verdict of each data set. An identity has one verdict, which holds everywhere."""
    names = list(dict.fromkeys(finding.data for row in rows if not row.claim.identity for finding in row.findings))
    lines = []
    for row in rows:
        by_data = {finding.data: finding.verdict for finding in row.findings}
        verdicts = [row.verdict if row.claim.identity else by_data.get(name, "no such run") for name in names]
        lines.append((f"{row.claim.name} {row.claim.says}", *verdicts))
    return ("Claim", *names), lines


def evidence(row: Row) -> Cells:
    """The numbers behind one verdict: an effect a line, data set by data set, and what Table 1 itself has."""
    lines = []
    for finding in row.findings:
        lines.append((f"{finding.data}: {finding.verdict}", "", "", "", ""))
        lines += [_cells(result) for result in finding.results]
    if row.own_table:
        lines.append((f"the paper's Table 1, {len(paper.DATA_SETS)} data sets", "", "", "", ""))
    for what, values in row.own_table.items():
        above, ends = _own_range(values)
        lines.append((what, above, "", "", ends))
    return (f"{row.claim.name}: {row.verdict}", "above 0", "sign test p", "mean, 95 % interval", "paper"), lines


def numbers(gap: Gap) -> Cells:
    """The numbers of one open point."""
    return (gap.name, "number"), [(what, _value(value)) for what, value in gap.numbers.items()]


def _cells(result: Effect | Fact) -> tuple[str, ...]:
    if isinstance(result, Fact):
        return result.what, "", "", result.status, ""
    ends = " to ".join(map(_value, result.interval)) if result.interval else "one seed"
    size = "" if result.paper is None else _value(result.paper)
    agree = f"{result.above} of {result.n}", _p(result.sign_test)
    return result.what, *agree, f"{_value(result.mean)} ({ends}), {result.status}", size


def _own_table(row: Row) -> list[str]:
    """What the paper's own Table 1 says: on how many of its data sets the effect is above 0, and its range."""
    lines = []
    for what, values in row.own_table.items():
        above, ends = _own_range(values)
        lines += [f"{what}: on {above} data sets ({ends})"]
    return lines


def _own_range(values: dict[str, float]) -> tuple[str, str]:
    """On how many data sets of Table 1 an effect is above 0, "3 of 4", and its range, "-0.40 to 1.57"."""
    sizes = values.values()
    above = sum(size > 0 for size in sizes)
    return f"{above} of {len(sizes)}", f"{_value(min(sizes))} to {_value(max(sizes))}"


def _headline(finding: Finding) -> str:
    trend = f"; Page's trend test p = {_p(finding.trend)}" if finding.trend is not None else ""
    note = f"; {finding.note}" if finding.note else ""
    return f"{finding.data}: {finding.verdict}{trend}{note}"


def _line(result: Effect | Fact) -> str:
    return f"{result.status:<9} {result.what}: {_evidence(result)}"


def _evidence(result: Effect | Fact) -> str:
    if isinstance(result, Fact):
        return "holds" if result.holds else "does not hold"
    paper = f"; paper, CIFAR-10: {_value(result.paper)}" if result.paper is not None else ""
    if result.interval is None:
        return f"{_value(result.mean)}, one seed{paper}"
    interval = " to ".join(map(_value, result.interval))
    agree = f"{result.above} of {result.n} seeds, sign test p = {_p(result.sign_test)}"
    return f"{_value(result.mean)} ({interval}), {agree}{paper}"


def _value(value: float | str) -> str:
    if isinstance(value, str | int):
        return str(value)
    digits = 3 if abs(value) < 0.1 else 2
    return f"{round(value, digits) + 0.0:.{digits}f}"


def _p(p: float) -> str:
    return f"{p:.3f}" if p >= 0.001 else "below 0.001"


def _claim(row: Row) -> dict[str, Any]:
    claim = row.claim
    return {
        "claim": claim.name,
        "says": claim.says,
        "check": claim.check,
        "chapter": claim.chapter,
        "verdict": row.verdict,
        "findings": [_finding(finding) for finding in row.findings],
        "table1": {what: {data: _round(v) for data, v in values.items()} for what, values in row.own_table.items()},
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "data": finding.data,
        "verdict": finding.verdict,
        "note": finding.note,
        "trend_p": _round(finding.trend),
        "results": [_result(result) for result in finding.results],
    }


def _result(result: Effect | Fact) -> dict[str, Any]:
    if isinstance(result, Fact):
        return {"what": result.what, "status": result.status}
    return {
        "what": result.what,
        "status": result.status,
        "mean": _round(result.mean),
        "interval": [_round(end) for end in result.interval] if result.interval else None,
        "values": [_round(value) for value in result.values],
        "sign_test_p": _round(result.sign_test),
        "paper_cifar10": _round(result.paper),
    }


def _gap(gap: Gap) -> dict[str, Any]:
    found = {what: _round(value) for what, value in gap.numbers.items()}
    return {"gap": gap.name, "says": gap.says, "chapter": gap.chapter, "numbers": found, "missing": list(gap.missing)}


def _round(value: float | str | None) -> float | str | None:
    return round(float(value), DECIMALS) + 0.0 if isinstance(value, float) else value
