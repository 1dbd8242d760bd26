"""A module's mutants: its source with one thing changed, for each thing."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

Node = TypeVar("Node", bound=ast.expr | ast.stmt)

_OTHER: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change.

    Parameters
    ----------
    line
        Where it is, in the module as it stands.
    before, after
        The expression or statement that is changed.
    source
        The whole module with it.
    """

    line: int
    before: str
    after: str
    source: str

    def __str__(self) -> str:
        """Return it as it is listed."""
        return f"{self.line}: {_brief(self.before)}  ->  {_brief(self.after)}"


def mutants(source: str) -> Iterator[Mutant]:
    """Yield all mutants of a module.

    Comparisons, ``and``/``or``, ``not``, conditions, truth values, integers and what
    is returned are changed; annotations and decorators are not.
    """
    number = 0
    while True:
        change = _Change(number)
        tree = change.visit(ast.parse(source))
        if change.made is None:
            return
        yield Mutant(*change.made, ast.unparse(ast.fix_missing_locations(tree)))
        number += 1


def _brief(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 70 else f"{line[:67]}..."


class _Change(ast.NodeTransformer):
    """Makes the change of a number, and counts the others."""

    def __init__(self, wanted: int) -> None:
        self._left = wanted
        self.made: tuple[int, str, str] | None = None

    def _offer(self, node: Node, changed: ast.AST) -> Node:
        self._left -= 1
        if self._left != -1:
            return node
        self.made = (node.lineno, ast.unparse(node), ast.unparse(changed))
        return changed  # type: ignore[return-value]

    def visit_arg(self, node: ast.arg) -> ast.arg:
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AnnAssign:
        if node.value is not None:
            node.value = self.visit(node.value)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        node.args = self.visit(node.args)
        node.body = [self.visit(one) for one in node.body]
        return node

    visit_AsyncFunctionDef = visit_FunctionDef  # type: ignore[assignment]  # noqa: N815

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        node.body = [self.visit(one) for one in node.body]
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.Compare:
        self.generic_visit(node)
        for place, operator in enumerate(node.ops):
            changed = copy.copy(node)
            changed.ops = list(node.ops)
            changed.ops[place] = _OTHER[type(operator)]()
            node = self._offer(node, changed)
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.BoolOp:
        self.generic_visit(node)
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        return self._offer(node, ast.BoolOp(other, node.values))

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.UnaryOp:
        self.generic_visit(node)
        return self._offer(node, node.operand) if isinstance(node.op, ast.Not) else node

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        if isinstance(node.value, bool):
            return self._offer(node, ast.Constant(not node.value))
        if isinstance(node.value, int):
            return self._offer(node, ast.Constant(node.value + 1))
        return node

    def visit_Return(self, node: ast.Return) -> ast.Return:
        self.generic_visit(node)
        if node.value is None or _is_none(node.value):
            return node
        return self._offer(node, ast.Return(ast.Constant(None)))

    def visit_If(self, node: ast.If) -> ast.If:
        self.generic_visit(node)
        node.test = self._condition(node.test)
        return node

    def visit_While(self, node: ast.While) -> ast.While:
        self.generic_visit(node)
        node.test = self._condition(node.test)
        return node

    def visit_IfExp(self, node: ast.IfExp) -> ast.IfExp:
        self.generic_visit(node)
        node.test = self._condition(node.test)
        return node

    def _condition(self, test: ast.expr) -> ast.expr:
        """Turn a condition round that nothing else does."""
        if isinstance(test, ast.Compare | ast.Constant | ast.UnaryOp):
            return test
        return self._offer(test, ast.UnaryOp(ast.Not(), test))


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None
