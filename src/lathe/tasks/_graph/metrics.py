"""The metrics of the task `graph_extraction`."""

from __future__ import annotations

from lathe.contracts import Metric

METRICS = (
    Metric(
        "graph_exact",
        "1 where the whole answer is right: all entities with their types, all relations in their direction, all hyperedges with "
        "their members and roles, and nothing else; of a question, the right answer. Texts are compared without case and runs of "
        "white space. Spans and descriptions do not count here; a line that cannot be read does.",
        "proportion",
    ),
    Metric(
        "entity_f1",
        "Micro F1 over (text, type), each pair of an item once: 2 x right / (gold + said), over all items together. An answer in "
        "which no graph can be read counts as one wrong thing said.",
        "micro_f1",
    ),
    Metric(
        "entity_macro_f1",
        "F1 over (text, type) of each type, averaged over the types that gold has in the set, so that a rare type weighs as much "
        "as a frequent one.",
        "macro_f1",
    ),
    Metric(
        "entity_span_f1",
        "Micro F1 over (start, end, type). An entity said without a span stands where its text is found next in the document. "
        "Measured where gold gives spans.",
        "micro_f1",
    ),
    Metric(
        "relation_f1",
        "Micro F1 over (head, label, tail), each of an item once; a relation with head and tail exchanged is wrong.",
        "micro_f1",
    ),
    Metric(
        "relation_macro_f1",
        "F1 over (head, label, tail) of each label, averaged over the labels that gold has in the set.",
        "macro_f1",
    ),
    Metric(
        "relation_direction",
        "Of the gold relations whose label and two ends were said, in whichever order: the share whose direction is right, for "
        "each item. Not measured where there is none.",
        "mean",
    ),
    Metric(
        "hyperedge_f1",
        "Micro F1 over hyperedges as sets of members: a said hyperedge is right where a gold one has exactly its members.",
        "micro_f1",
    ),
    Metric(
        "hyperedge_soft_f1",
        "For each item 2 x J / (gold + said), where J is the sum of the Jaccard similarities of member sets over the pairing of "
        "gold and said hyperedges for which it is greatest; 1 where there are none on either side.",
        "mean",
    ),
    Metric(
        "hyperedge_roles",
        "Of the gold roles of members that stand in the paired hyperedge too: the share said, for each item. Not measured where "
        "there is none.",
        "mean",
    ),
    Metric(
        "hyperedge_description",
        "Of the paired hyperedges whose gold has a description: the share with the same one, for each item. Not measured where "
        "there is none.",
        "mean",
    ),
    Metric(
        "question_accuracy",
        "Of the questions over a given hypergraph: 1 where the answer is right: yes, no or a number that stands alone, or a list "
        "with the right names, each once, in any order. Not measured on texts.",
        "proportion",
    ),
    Metric(
        "odin_entity_f1",
        "Odin's micro entity F1: sets of (text, type) in lower case, without spans, read from its grammar alone.",
        "micro_f1",
        compatible_with="Odin SLM",
    ),
    Metric(
        "odin_relation_f1",
        "Odin's micro relation F1: sets of (head, label, tail) in lower case; a relation without brackets has the label unknown.",
        "micro_f1",
        compatible_with="Odin SLM",
    ),
    Metric(
        "odin_entity_macro_f1",
        "Odin's macro entity F1: the mean over examples, not over types; an example without entities scores 0, even if none are "
        "said.",
        "mean",
        compatible_with="Odin SLM",
    ),
    Metric(
        "odin_relation_macro_f1",
        "Odin's macro relation F1: the mean over examples; an example without relations scores 0, even if none are said.",
        "mean",
        compatible_with="Odin SLM",
    ),
)
