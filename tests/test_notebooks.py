"""The notebooks: committed without output, each cell runs, each exercise has its answer, the two tours are one."""

from __future__ import annotations

import ast
import json
import re
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from small_nets import needs_imagenet

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
TOURS = "01_tour", "01_tour_ko"

needs_jupyter = pytest.mark.skipif(
    None in map(find_spec, ("nbclient", "nbconvert", "ipykernel", "matplotlib", "latex2mathml", "onnx")),
    reason="needs the extras: pip install 'npgradcam[notebooks,onnx]'",
)


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def code(notebook):
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]


def each(*names):
    found = [path for path in NOTEBOOKS if not names or path.stem in names]
    return pytest.mark.parametrize("path", found, ids=lambda path: path.stem)


def test_there_are_twelve_numbers_and_the_tour_in_two_languages():
    assert sorted({path.stem[:2] for path in NOTEBOOKS}) == [f"{n:02}" for n in range(1, 13)]
    assert {path.stem for path in NOTEBOOKS if path.stem.startswith("01")} == set(TOURS)


@each()
def test_a_notebook_is_source_nothing_else(path):
    """No output, no counts, cells named in their order: a change of one cell changes one cell of the file."""
    notebook = read(path)
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}
    topic = path.stem[3:].replace("_", "-")
    for n, cell in enumerate(notebook["cells"], start=1):
        assert cell["id"] == f"{topic}-{n:02}"
        assert cell["metadata"] in ({}, {"jupyter": {"source_hidden": True}})
        assert cell["cell_type"] == "markdown" or (cell["outputs"], cell["execution_count"]) == ([], None)
    assert path.read_text(encoding="utf-8") == json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


@each()
def test_every_exercise_is_open_and_has_its_answer(path):
    tree = ast.parse("\n".join(code(read(path))))
    called = {name: [call.args for call in ast.walk(tree)
                     if isinstance(call, ast.Call) and getattr(call.func, "id", "") == name]
              for name in ("exercise", "answer")}
    asked = [args[0].value for args in called["exercise"]]
    assert asked == list(range(1, len(asked) + 1))
    assert len(asked) >= 3
    assert [args[0].value for args in called["answer"]] == asked


def test_both_tours_have_the_same_code():
    """But for comments, texts and the module that speaks Korean."""
    def bare(path):
        trees = [ast.parse(cell) for cell in code(read(path))]
        for node in (node for tree in trees for node in ast.walk(tree)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and not is_name(node.value):
                node.value = ""
            if isinstance(node, ast.ImportFrom):
                node.module = node.module.removesuffix("_ko")
            if isinstance(node, ast.JoinedStr):
                node.values = []
        return [ast.dump(tree) for tree in trees]

    def is_name(text):  # a model, a class, a photograph; not a sentence
        return text in ("cat_and_coffee", "efficientnet_lite0", "Egyptian cat", "espresso", "cup", "k,kij->ij")

    english, korean = (FOLDER / f"{name}.ipynb" for name in TOURS)
    assert bare(english) == bare(korean)
    kinds = [[cell["cell_type"] for cell in read(path)["cells"]] for path in (english, korean)]
    assert kinds[0] == kinds[1]


def test_the_readme_lists_every_notebook():
    readme = (FOLDER.parent / "README.md").read_text(encoding="utf-8")
    linked = re.findall(r"\]\(notebooks/(\w+)\.ipynb\)", readme)
    assert sorted(linked) == [path.stem for path in NOTEBOOKS]


@needs_jupyter
def test_a_notebook_to_render_goes_by_its_name_and_another_is_a_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(FOLDER)
    import render

    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.ipynb").touch()
    assert [render.a_notebook(name) for name in ("05_cam", "05_cam.ipynb", "own", "own.ipynb")] == [
        FOLDER / "05_cam.ipynb", FOLDER / "05_cam.ipynb", Path("own.ipynb"), Path("own.ipynb")]
    for wrong, said in (("05_cma", "there is no notebook 05_cma; near it: 05_cam"), ("zzz", "no notebook zzz\n"),
                        (".", "no notebook .\n")):
        with pytest.raises(SystemExit):
            render.main([wrong])
        assert said in capsys.readouterr().err


@needs_imagenet
@needs_jupyter
@pytest.mark.filterwarnings("default")  # the kernel's own, of its sockets and event loop
@each()
def test_a_notebook_runs_and_its_answers_are_right_and_its_page_stands_alone(path, warm, monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    import nbformat
    import render

    nbformat.validate(nbformat.read(path, as_version=4))
    notebook = render.run(path)

    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    said = "".join(output.text for output in outputs if output.output_type == "stream" and output.name == "stdout")
    assert [output.text for output in outputs if output.output_type == "stream" and output.name == "stderr"] == []
    exercises = max(int(number) for number in re.findall(r"\bexercise\((\d+),", "\n".join(code(read(path)))))
    assert len(re.findall(r"^(?:Answer \d+|연습 \d+의 정답): ", said, re.MULTILINE)) == exercises
    pictures = [output for output in outputs if "image/png" in output.get("data", ())]
    assert len(pictures) >= 3

    page = render.page(notebook, path.stem)
    assert re.findall(r"""<script|<link|<iframe|@import|url\(["']?http|(?:src|href)=["'](?!data:|#)""", page) == []
    assert page.count("src=\"data:image/png;base64,") >= len(pictures)
    assert "<math" in page
    assert not re.search(r"FORMULA|\$\$|\\[a-z]+\{", re.sub(r"<pre.*?</pre>", "", page, flags=re.DOTALL))


@pytest.fixture
def lesson(monkeypatch):
    pytest.importorskip("matplotlib", reason="needs the extra: pip install 'npgradcam[notebooks]'")
    monkeypatch.syspath_prepend(FOLDER)
    monkeypatch.setitem(sys.modules, "lesson", None)
    monkeypatch.delitem(sys.modules, "lesson")
    import lesson

    return lesson


def test_an_exercise_says_what_it_thinks_of_an_answer(lesson, capsys):
    for mine in (..., 3, [3, 4], 2 + 1e-9):
        lesson.exercise(1, mine, 2, "one and one")
    missing, wrong, shape, right = capsys.readouterr().out.splitlines()
    assert missing == "Exercise 1: put your answer in place of the three dots. Hint: one and one"
    assert wrong == "Exercise 1: not yet. Hint: one and one"
    assert shape == "Exercise 1: not yet, its shape is (2,) and not (). Hint: one and one"
    assert right == "Exercise 1: right."


def test_a_wrong_answer_of_the_notebook_itself_is_an_error(lesson):
    lesson.exercise(1, ..., 2, "")
    lesson.answer(1, 2)
    with pytest.raises(AssertionError, match=r"Answer 1: they differ by 3\.3e-01 of the largest number"):
        lesson.answer(1, 3)


@pytest.mark.parametrize("wrong", [np.nan, 1 + 1e-9])
def test_agree_catches_a_small_difference_and_what_is_no_number(lesson, wrong):
    lesson.agree("ones", np.ones(3), np.ones(3))
    with pytest.raises(AssertionError, match="ones"):
        lesson.agree("ones", np.ones(3), np.array([1, wrong, 1]))
