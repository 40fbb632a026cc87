"""The rows in what a teacher wrote.

rows_in('Sure! ```json\\n{"rows": [{"input": "List files", "target": "ls"}]}\\n```')      ->  [{"input": ...}]
rows_in("Sorry")                                                                        ->  "no JSON: ..."
"""

from __future__ import annotations

from lathe.data.files.json_line import LineFault, decode
from lathe.records import Row


def rows_in(text: str) -> list[Row] | str:
    """The rows of an answer, whatever stands around them; else what is wrong with it."""
    begins = min((place for place in (text.find("{"), text.find("[")) if place >= 0), default=-1)
    ends = max(text.rfind("}"), text.rfind("]"))
    if begins < 0 or ends < begins:
        return f"no JSON, but {text.strip()[:60]!r}"
    try:
        value = decode(text[begins : ends + 1].encode("utf-8", "surrogatepass"))
    except LineFault as fault:
        return f"no JSON: {fault.reason}"
    rows = value.get("rows") if isinstance(value, dict) else value
    if not isinstance(rows, list):
        return 'no list of rows under "rows"'
    return rows if all(isinstance(row, dict) for row in rows) else "a list of something else than rows"
