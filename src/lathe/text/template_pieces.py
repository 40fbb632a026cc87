"""Chat templates that only write out what messages say: rendered once for each row of roles, whatever the messages say.

    writes_only(environment.parse("{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"))                ->  True
    writes_only(environment.parse("{% for m in messages %}<{{ m.role }}>{{ m.content | trim }}{% endfor %}"))         ->  False
    pieces("<user>{a}<user>{b}", ["{a}", "{b}"])                                            ->  ["<user>", 0, "<user>", 1, ""]

Told from the template's syntax: what a message says stands in nothing but outputs and in texts put one behind the other, and no
message is handed on whole. A no costs time alone: such a template renders each chat.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from jinja2 import nodes

LOOP = {"first", "last", "index", "index0", "revindex", "revindex0", "length"}
"""What a loop tells of itself without telling of its items."""
PASSED_ON = (nodes.Add, nodes.Concat, nodes.CondExpr)
"""Of their parts they give back texts put one behind the other, or one of them."""
KNOWN = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.For, nodes.If, nodes.Assign, nodes.NSRef, nodes.Const, nodes.Name,
    nodes.Getattr, nodes.Getitem, nodes.Slice, nodes.Sub, nodes.Neg, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not,
    nodes.Test, nodes.Filter, nodes.Call, nodes.Keyword, nodes.List, nodes.Tuple, *PASSED_ON,
)  # fmt: skip
"""Syntax that hides nothing: no macro, no block whose output is caught."""


def writes_only(template: nodes.Template) -> bool:
    """Whether the template writes out what messages say, and does nothing else with it."""
    loops = [one.target for one in template.find_all(nodes.For) if _is_name(one.iter, "messages")]
    others = [one.target for one in template.find_all(nodes.For) if not _is_name(one.iter, "messages")]
    others += [one.target for one in template.find_all(nodes.Assign)]
    each = {target.name for target in loops if isinstance(target, nodes.Name)}
    named = {
        name.name
        for target in others
        for name in (target, *target.find_all(nodes.Name))
        if isinstance(name, nodes.Name)
    }
    if not all(isinstance(target, nodes.Name) for target in loops) or named & {*each, "messages", "loop"}:
        return False
    return _Reading(frozenset(each)).harmless(template, written=False)


class _Reading:
    """One template. each: names that stand for a message."""

    def __init__(self, each: frozenset[str]) -> None:
        self._each = each

    def harmless(self, node: nodes.Node, *, written: bool) -> bool:
        """Whether nothing in here depends on what messages say. written: whether what it gives is written out and no more."""
        if not isinstance(node, KNOWN):
            return False
        if isinstance(node, nodes.Name):
            return node.name not in {*self._each, "messages", "loop"}
        if isinstance(node, nodes.Getattr | nodes.Getitem):
            return self._part(node, written=written)
        if isinstance(node, nodes.For):
            rows = () if _is_name(node.iter, "messages") else (node.iter,)
            return not node.recursive and self._all(
                (*rows, *node.body, *node.else_, *((node.test,) if node.test else ()))
            )
        if isinstance(node, nodes.CondExpr):
            branches = [one for one in (node.expr1, node.expr2) if one is not None]
            return self._all((node.test,)) and self._all(branches, written=written)
        passes = isinstance(node, nodes.Output) or (written and isinstance(node, PASSED_ON))
        return self._all(node.iter_child_nodes(), written=passes)

    def _all(self, some: Iterable[nodes.Node], *, written: bool = False) -> bool:
        return all(self.harmless(one, written=written) for one in some)

    def _part(self, node: nodes.Getattr | nodes.Getitem, *, written: bool) -> bool:
        """A part of something: of a message, of the loop, or of what has nothing to do with either."""
        key = node.attr if isinstance(node, nodes.Getattr) else _constant(node.arg)
        if _is_name(node.node, "loop"):
            return key in LOOP
        if self._is_message(node.node):
            # What a dict can do (`items`, `get`) would hand out all that is in it.
            return isinstance(key, str) and not hasattr(dict, key) and (written or key != "content")
        others = (node.node,) if isinstance(node, nodes.Getattr) else (node.node, node.arg)
        return self._all(others)

    def _is_message(self, node: nodes.Node) -> bool:
        if isinstance(node, nodes.Getitem) and _is_name(node.node, "messages"):
            return not isinstance(node.arg, nodes.Slice) and self.harmless(node.arg, written=False)
        return isinstance(node, nodes.Name) and node.name in self._each


def _is_name(node: nodes.Node, name: str) -> bool:
    return isinstance(node, nodes.Name) and node.name == name


def _constant(node: nodes.Node) -> object:
    return node.value if isinstance(node, nodes.Const) else None


def pieces(text: str, contents: Sequence[str]) -> list[str | int]:
    """A text that was rendered with these contents, parted: what the template wrote, and in between the numbers of contents.

    No content may be part of another one.
    """
    if not contents:
        return [text]
    numbers = {content: number for number, content in enumerate(contents)}
    parts = re.split(f"({'|'.join(map(re.escape, contents))})", text)
    return [part if place % 2 == 0 else numbers[part] for place, part in enumerate(parts)]
