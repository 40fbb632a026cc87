"""The metrics of `json_extraction`, each with a definition that stands in the docs and in every report."""

from __future__ import annotations

from lathe.contracts import Metric

METRICS = (
    Metric(
        "json_exact",
        "1 where the answer's JSON equals the gold value: objects without order, lists in order, numbers by value (1 "
        "is 1.0), strings by every character, true unequal to 1. The value is read from the first { or [ that opens "
        "one; text around it is allowed; NaN, repeated keys and numbers that overflow are refused.",
        "proportion",
    ),
    Metric(
        "field_f1",
        "F1 over the leaves of the flattened values, for each item: 2 x matched / (leaves of gold + leaves of "
        "answer). A leaf matches where an equal one stands at the same place; list items are aligned in order, with "
        "items skipped on either side where that matches more leaves, and where the schema says `x-unordered: true` by the "
        "one-to-one pairing that matches most leaves, in any order; an empty object or list is one leaf. No JSON is 0.",
        "mean",
    ),
    Metric(
        "schema_valid",
        "1 where the answer's JSON fits the row's JSON Schema (draft as the schema says, else 2020-12; format not "
        "asserted; patterns that could take exponential time not asserted). Not measured where the row has no schema.",
        "proportion",
    ),
    Metric(
        "json_valid",
        "1 where the answer holds a JSON object or array at all, be it behind a fault, inside of a broken one.",
        "proportion",
    ),
    Metric(
        "field_macro_f1",
        "F1 of each field over the leaves of the whole set, aligned as for field_f1, averaged over the fields of gold: a rare "
        "field weighs as much as a frequent one. A field is its keys, places in lists aside (`guests[].name`).",
        "macro_f1",
    ),
    Metric(
        "type_macro_f1",
        "The same by the type of the leaf: string, number, boolean, null, and date for strings such as 2026-11-20 or "
        "2026-11-20T08:15; empty objects and lists are types of their own.",
        "macro_f1",
    ),
    Metric(
        "json_close",
        "As json_exact, but for what the schema tolerates: numbers under `x-tolerance` may differ by so much, texts under it are "
        "the same where both are dates or times of ISO 8601 so many seconds apart, whatever their offset, and lists under "
        "`x-unordered: true` may have any order. Not measured where the row's schema tolerates nothing.",
        "proportion",
    ),
    Metric(
        "slmbench_json_exact",
        "SLM-Bench's JSONExact: Python's == on what its extraction finds (whole text, else a regular expression that "
        "knows one inner level of braces), so true equals 1 and a deep answer followed by text is lost.",
        "proportion",
        compatible_with="SLM-Bench EdgeJSON JSONExact",
    ),
    Metric(
        "slmbench_field_f1",
        "SLM-Bench's FieldF1: F1 over top-level keys only, a nested value right as a whole or not at all. Not "
        "measured where the gold value is no object.",
        "mean",
        compatible_with="SLM-Bench EdgeJSON FieldF1",
    ),
    Metric(
        "slmbench_schema_compliance",
        "SLM-Bench's SchemaCompliance: a non-empty object with all top-level keys of the gold value and values of the"
        " same Python type (int and float are one); the schema itself is not looked at. Not measured where the gold "
        "value is no object.",
        "proportion",
        compatible_with="SLM-Bench EdgeJSON SchemaCompliance",
    ),
    Metric(
        "nuextract_aligned",
        "NuExtract's score of aligned trees (model card of NuExtract3; lists as in NuMind's Treeval): both values as trees, "
        "members aligned by key, list items by the one-to-one pairing whose mean scores together are greatest; the mean over all "
        "leaves of the aligned trees. Two texts score their indel similarity, 1 - insertions and deletions / characters of both; "
        "all else, and texts with enum, const or format in the schema, 1 where equal. The card does not say what a leaf on one "
        "side only scores: here 0. No JSON is 0.",
        "mean",
        compatible_with="NuExtract's score of aligned trees",
    ),
)
