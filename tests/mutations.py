"""The small changes that mutation testing makes to a module, one at a time; `mutants.py` runs the tests against each.

Not changed: imports, annotations, decorators, docstrings, `__repr__`, what only raises NotImplementedError,
whether an array is copied (`copy=`), whether a zip checks lengths (`strict=`: shapes that differ were refused before),
the order of arguments that a function may have in any, and what an error or an f-string says (that it is raised at all
is changed).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

COMPARISONS = {
    ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.LtE), ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,), ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
ARITHMETIC = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult, ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}
PAIRS = ("maximum minimum", "max min", "any all", "argmax argmin", "ceil floor", "zeros ones", "zeros_like ones_like",
         "logical_and logical_or", "fmax fmin", "exp expm1", "log log1p", "sum prod")
SYMMETRIC = {"maximum", "minimum", "max", "min", "fmax", "fmin", "logical_and", "logical_or", "multiply",
             "broadcast_shapes", "result_type", "swapaxes"}  # in any order of the first two arguments
UNTOUCHED = ("copy", "strict")  # what is not changed about a call
OTHER_NAME = {a: b for pair in PAIRS for a, b in (pair.split(), pair.split()[::-1])}


@dataclass(frozen=True)
class Change:
    """A part of the tree, `owner.key` or `owner[key]`, that becomes `value`; `shown` is the code around it."""

    shown: ast.AST
    owner: Any
    key: Any
    value: Any
    after: str | None = None

    def make(self) -> Any:
        """Change the tree; return what was there."""
        if isinstance(self.owner, list):
            old, self.owner[self.key] = self.owner[self.key], self.value
        else:
            old = getattr(self.owner, self.key)
            setattr(self.owner, self.key, self.value)
        return old

    def says(self) -> str:
        """Old code, an arrow, new code."""
        before, after = _short(self.shown), self.after
        if after is None:
            old = self.make()
            after = _short(self.shown)
            Change(self.shown, self.owner, self.key, old).make()
        return f"{before} -> {after}"


@dataclass(frozen=True)
class Mutation:
    """One change to a module.

    Attributes
    ----------
    where : str
        The class and function that hold it, as "Conv2d.forward"; nothing at the module's top.
    lines : range
        The lines that run when it does.
    inside : bool
        Whether a function's code changes; else a constant or a default does.
    change : Change
    says : str
        Old code, an arrow, new code; a `#2` tells the second such change in a function from the first.
    """

    where: str
    lines: range
    inside: bool
    change: Change
    says: str


def mutations(tree: ast.Module) -> list[Mutation]:
    """Return every change to a module, in the order of its code."""
    found, seen = [], dict[tuple[str, str], int]()
    for where, lines, inside, change in _of_body(tree.body, (), None):
        name, says = ".".join(where), change.says()
        seen[name, says] = count = seen.get((name, says), 0) + 1
        found.append(Mutation(name, lines, inside, change, says + (f" #{count}" if count > 1 else "")))
    return found


Found = tuple[tuple[str, ...], range, bool, Change]


def _of_body(body: list[ast.stmt], where: tuple[str, ...], names: frozenset[str] | None) -> Iterator[Found]:
    for k, statement in enumerate(body):
        yield from _of_statement(body, k, statement, where, names)


def _of_statement(body: list[ast.stmt], k: int, s: ast.stmt, where: tuple[str, ...],
                  names: frozenset[str] | None) -> Iterator[Found]:
    """Yield the changes to a statement; `names` are its function's arguments, None outside of functions."""
    inside = names is not None
    if isinstance(s, ast.ClassDef):
        yield from _of_body(s.body, (*where, s.name), None)
    elif isinstance(s, ast.FunctionDef) and s.name != "__repr__" and not _is_left_to_heirs(s):
        inner, lines = (*where, s.name), range(s.body[0].lineno, (s.end_lineno or 0) + 1)
        for defaults in (s.args.defaults, s.args.kw_defaults):
            for i, default in enumerate(defaults):
                for change in _of_expression(defaults, i, default):
                    yield inner, lines, inside, change
        every = [*s.args.posonlyargs, *s.args.args, *s.args.kwonlyargs]
        yield from _of_body(s.body, inner, frozenset(a.arg for a in every))
    elif isinstance(s, (ast.FunctionDef, ast.Import, ast.ImportFrom, ast.Pass)) or _is_text(s):
        return
    elif inside or (isinstance(s, (ast.Assign, ast.AnnAssign)) and not _names_a_type(s)):
        blocks = [getattr(s, field) for field in ("body", "orelse", "finalbody") if getattr(s, field, None)]
        blocks += [handler.body for handler in getattr(s, "handlers", [])]
        lines = range(s.lineno, max(blocks[0][0].lineno if blocks else (s.end_lineno or 0) + 1, s.lineno + 1))
        for change in _of_one_statement(body, k, s, names):
            yield where, lines, inside, change
        for block in blocks:
            yield from _of_body(block, where, names)


def _of_one_statement(body: list[ast.stmt], k: int, s: ast.stmt, names: frozenset[str] | None) -> Iterator[Change]:
    if names is not None and _can_go(s, names):
        yield Change(s, body, k, ast.copy_location(ast.Pass(), s), "pass")
    if isinstance(s, ast.Raise):
        return
    if isinstance(s, ast.Return) and s.value and ast.unparse(s.value) != "None":
        yield Change(s, s, "value", ast.copy_location(ast.Constant(None), s.value))
    if isinstance(s, (ast.If, ast.While)):
        yield from _negated(s, "test")
    if isinstance(s, ast.AugAssign) and type(s.op) in ARITHMETIC:
        yield Change(s, s, "op", ARITHMETIC[type(s.op)]())
    for field, value in ast.iter_fields(s):
        if field == "items":
            for item in value:
                yield from _of_expression(item, "context_expr", item.context_expr)
        elif isinstance(value, ast.expr) and field != "annotation":
            yield from _of_expression(s, field, value)


def _is_text(s: ast.stmt) -> bool:
    return isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant)


def _is_left_to_heirs(s: ast.FunctionDef) -> bool:
    return [ast.unparse(part) for part in s.body if not _is_text(part)] == ["raise NotImplementedError"]


def _names_a_type(s: ast.Assign | ast.AnnAssign) -> bool:
    """Whether a statement outside of functions gives a type a name, or says what a module holds."""
    text = ast.unparse(s)
    made = ("TypeVar(", "NamedTuple(", "Literal[", "TypeAlias", "Union[", "Callable[[")
    return s.value is None or text.startswith("__all__") or any(name in text for name in made)


def _can_go(s: ast.stmt, names: frozenset[str]) -> bool:
    """Whether a statement can be left out without leaving a name undefined."""
    if isinstance(s, ast.Assign):
        target = s.targets[0]
        reads = {n.id for n in ast.walk(s.value) if isinstance(n, ast.Name)}
        return isinstance(target, (ast.Attribute, ast.Subscript)) or ast.unparse(target) in names | reads
    return isinstance(s, (ast.AugAssign, ast.Continue, ast.Break, ast.Expr, ast.Raise))


def _of_expression(owner: Any, key: Any, node: ast.AST | None) -> Iterator[Change]:
    """Yield the changes to an expression and to its parts."""
    if isinstance(node, (ast.JoinedStr, ast.Name, type(None))) or getattr(node, "arg", None) in UNTOUCHED:
        return
    yield from _of_node(owner, key, node)
    for field, value in ast.iter_fields(node):
        for part, child in enumerate(value) if isinstance(value, list) else [(field, value)]:
            if isinstance(child, (ast.expr, ast.keyword, ast.comprehension)):
                yield from _of_expression(value if isinstance(value, list) else node, part, child)


def _of_node(owner: Any, key: Any, node: Any) -> Iterator[Change]:
    """Yield the changes to one node of an expression."""
    if isinstance(node, ast.Constant):
        for value in _other_values(node.value):
            yield Change(owner if isinstance(owner, (ast.BinOp, ast.Compare, ast.Subscript)) else node,
                         node, "value", value)
    elif isinstance(node, ast.Compare):
        for k, op in enumerate(node.ops):
            for other in COMPARISONS[type(op)]:
                yield Change(node, node.ops, k, other())
    elif isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
        yield Change(node, node, "op", ARITHMETIC[type(node.op)]())
    elif isinstance(node, ast.BoolOp):
        yield Change(node, node, "op", ast.Or() if isinstance(node.op, ast.And) else ast.And())
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.Not)):
        yield Change(node, owner, key, node.operand, _short(node.operand))
    elif isinstance(node, ast.IfExp):
        yield from _negated(node, "test")
    elif isinstance(node, ast.comprehension):
        for k in range(len(node.ifs)):
            yield from _negated(node.ifs, k)
    elif isinstance(node, ast.Slice):
        for part in ("lower", "upper", "step"):
            if getattr(node, part) is not None:
                yield Change(owner if isinstance(owner, ast.AST) else node, node, part, None)
    elif isinstance(node, ast.Attribute) and node.attr in OTHER_NAME:
        yield Change(node, node, "attr", OTHER_NAME[node.attr])
    elif isinstance(node, ast.Call):
        yield from _of_call(node)


def _of_call(node: ast.Call) -> Iterator[Change]:
    """Yield a call of the opposite function, with two arguments swapped, or with an argument left out."""
    if isinstance(node.func, ast.Name) and node.func.id in OTHER_NAME:
        yield Change(node, node.func, "id", OTHER_NAME[node.func.id])
    a = node.args
    symmetric = ast.unparse(node.func).split(".")[-1] in SYMMETRIC
    if not symmetric and not any(isinstance(argument, ast.Starred) for argument in a):
        for k in range(len(a) - 1):
            if ast.dump(a[k]) != ast.dump(a[k + 1]):
                yield Change(node, node, "args", [*a[:k], a[k + 1], a[k], *a[k + 2 :]])
    for k, keyword in enumerate(node.keywords):
        if keyword.arg not in (None, *UNTOUCHED):
            yield Change(node, node, "keywords", node.keywords[:k] + node.keywords[k + 1 :])


def _negated(owner: Any, key: Any) -> Iterator[Change]:
    """Yield the opposite condition, where `_of_node` does not find it."""
    test = owner[key] if isinstance(owner, list) else getattr(owner, key)
    if (isinstance(test, ast.Compare) and len(test.ops) == 1) or isinstance(test, ast.UnaryOp):
        return
    no = ast.fix_missing_locations(ast.copy_location(ast.UnaryOp(ast.Not(), test), test))
    yield Change(test, owner, key, no, f"not ({_short(test)})")


def _other_values(value: object) -> list[object]:
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, (int, float)):
        return [value + 1, 0] if value == 1 else [value + 1]
    return [f"XX{value}"] if isinstance(value, str) else []


def _short(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 90 else text[:87] + "..."
