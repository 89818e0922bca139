"""Mutation testing notices a changed module, and only a changed one: the code that it puts in really runs."""

from __future__ import annotations

import ast
import sys
import types
from collections.abc import Iterator

import pytest
from mutations import mutations
from transplanting import replace

SOURCE = '''
from dataclasses import dataclass, fields
from functools import cached_property

LIMIT = 3
TABLE = {"three": LIMIT}

def double(x, factor=2):
    return x * factor

@dataclass(frozen=True)
class Base:
    size: int = 5
    kind = 7

    def area(self):
        return self.size * self.size

    @property
    def half(self):
        return self.size / 2

    @staticmethod
    def unit():
        return 11

    @cached_property
    def kept(self):
        return 13

class Heir(Base):
    def area(self):
        return super().area() + 17
'''
ASKED = {  # a change, what is asked, the answer before and with it
    "2 -> 3": ("double(4)", 8, 12),
    "x * factor -> x / factor": ("alias(4)", 8, 2.0),
    "3 -> 4": ("LIMIT + TABLE['three']", 6, 8),
    "5 -> 6": ("Base().size + fields(Base)[0].default + Heir().size", 15, 18),
    "7 -> 8": ("instance.kind", 7, 8),
    "self.size * self.size -> self.size / self.size": ("instance.area()", 42, 18.0),
    "self.size / 2 -> self.size * 2": ("instance.half", 2.5, 10),
    "11 -> 12": ("instance.unit()", 11, 12),
    "13 -> 14": ("Base().kept", 13, 14),
    "return super().area() + 17 -> return None": ("instance.area()", 42, None),
}


@pytest.fixture
def module() -> Iterator[types.ModuleType]:
    made = types.ModuleType("npgradcam.made_up")
    sys.modules[made.__name__] = made
    exec(SOURCE + "\nalias, instance = double, Heir()", made.__dict__)  # noqa: S102
    yield made
    del sys.modules[made.__name__]


def answer(module: types.ModuleType, question: str) -> object:
    return eval(question, module.__dict__)  # noqa: S307


def test_an_unchanged_module_answers_as_before(module: types.ModuleType) -> None:
    replace(module, compile(SOURCE, "made_up.py", "exec"))
    assert [answer(module, question) for question, _, _ in ASKED.values()] == [old for _, old, _ in ASKED.values()]


@pytest.mark.parametrize("says", ASKED)
def test_a_change_reaches_who_holds_the_old_function_class_or_instance(module: types.ModuleType, says: str) -> None:
    question, before, after = ASKED[says]
    assert answer(module, question) == before
    tree = ast.parse(SOURCE)
    (mutation,) = (m for m in mutations(tree) if m.says == says)
    mutation.change.make()
    replace(module, compile(ast.fix_missing_locations(tree), "made_up.py", "exec"))
    assert answer(module, question) == after


def test_every_change_is_a_change_and_each_is_made_once() -> None:
    count = len(mutations(ast.parse(SOURCE)))
    found = set()
    for k in range(count):
        tree = ast.parse(SOURCE)
        mutations(tree)[k].change.make()
        found.add(ast.dump(tree))
    assert len(found - {ast.dump(ast.parse(SOURCE))}) == count > 15
