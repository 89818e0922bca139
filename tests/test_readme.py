"""What the README says is so: its Python prints what it shows, its commands are taken and run, its paths exist.

Both of the blocks that set everything up are run by .ci/run.
"""

import argparse
import ast
import doctest
import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from kit_implementations import network
from PIL import Image
from small_nets import needs_imagenet

import npgradcam as ng
from npgradcam.cli import main
from npgradcam.cli.parser import build_parser, parse

README = Path(__file__).parents[1] / "README.md"
TEXT = README.read_text(encoding="utf-8")


def commands():
    """Each command line of the shell blocks and between backquotes, as words; where Python is does not matter."""
    shell = "".join(re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)).splitlines()
    quoted = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL))
    lines = [line.removeprefix(".venv/bin/") for line in (*shell, *quoted)]
    known = [line for line in lines if re.match(r"(npgradcam|python3?|pip|pytest|jupyter) ", line)]
    return [shlex.split(line, comments=True) for line in dict.fromkeys(known)]


def of(*programs):
    """Parametrise over the commands of some programs, without the program's name."""
    return pytest.mark.parametrize("words", [words[1:] for words in commands() if words[0] in programs], ids=" ".join)


def subcommands():
    (action,) = (a for a in build_parser()._actions if isinstance(a, argparse._SubParsersAction))
    return action.choices


@needs_imagenet
def test_the_python_lines_print_what_the_readme_shows(monkeypatch):
    pytest.importorskip("onnx", reason="needs the extra: pip install 'npgradcam[onnx]'")
    monkeypatch.chdir(README.parent)
    example = "".join(re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL))
    test = doctest.DocTestParser().get_doctest(example, {}, "README", str(README), 0)
    told = []
    result = doctest.DocTestRunner(verbose=False).run(test, out=told.append)
    assert result.attempted >= 8
    assert not result.failed, "".join(told)


@pytest.mark.parametrize("name", ["explain", "test"])
def test_ci_finds_each_command_block(name):
    assert re.search(rf"<!-- ci: {name} -->\n```sh\n.+?```", TEXT, re.DOTALL)


def test_every_path_that_the_readme_links_exists():
    links = re.findall(r"\]\(([^)#:]+)\)|src=\"([^\":]+)\"", TEXT)
    paths = [a or b for a, b in links]
    assert paths
    assert [path for path in paths if not (README.parent / path).exists()] == []


def test_the_commands_are_found():
    said = {words[1] for words in commands() if words[0] == "npgradcam"}
    assert said == set(subcommands()) - {"predict"}
    assert len(commands()) >= 25


@of("npgradcam")
def test_the_command_line_takes_each_command(words):
    assert parse(words).command == words[0]


def words_that_are_options():
    return re.findall(r"`(--[a-z-]+)(?: [A-Za-z]+)?`", TEXT)


@pytest.mark.parametrize("option", dict.fromkeys(words_that_are_options()))
def test_each_option_between_backquotes_is_somebodys(option):
    scripts = " ".join((README.parent / script).read_text(encoding="utf-8") for script in ("tests/fuzz.py",))
    assert any(option in parser.format_help() for parser in subcommands().values()) or f'"{option}"' in scripts


SMALL = {"vgg16": "shapes", "imagenet": "unit", "282": "1"}  # a network of four shapes in the place of a large one
SMALL_COMMANDS = [words[1:] for words in commands() if words[0] == "npgradcam" and "Egyptian cat" not in words]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder in which every file is that the commands name."""
    pytest.importorskip("onnx", reason="needs the extra: pip install 'npgradcam[onnx]'")
    from npgradcam.formats.onnx_writing import onnx_bytes

    net, sample = ng.load("shapes"), ng.images.sample("two_shapes")
    x = net.preprocess(sample)
    (tmp_path / "model.onnx").write_bytes(onnx_bytes(net.network, 3, x.shape[2:]))
    (tmp_path / "labels.txt").write_text("\n".join(net.label(c) for c in range(4)) + "\n", encoding="utf-8")
    for name in ("cat.jpg", "photo.jpg"):
        Image.open(sample).convert("RGB").save(tmp_path / name)
    drawn = ng.load(tmp_path / "model.onnx", preprocess="unit")
    np.save(tmp_path / "my_map.npy", ng.grad_cam(drawn, drawn.preprocess(tmp_path / "cat.jpg"), 1).cam[0])
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("words", SMALL_COMMANDS, ids=" ".join)
def test_each_command_runs_on_a_small_network(words, folder, capsys):
    words = [SMALL.get(word, word) for word in words]
    takes, options = subcommands()[words[0]].format_help(), parse(words)
    further = []
    if getattr(options, "model", None) == "efficientnet_lite0" and not getattr(options, "network", None):
        further += ["--model", "shapes"]
    if words == ["explain", "--method", "all"]:
        further += ["cat.jpg"]
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    further += ["--backend", "numpy"] * ("--backend" in takes) + ["--rounds", "1"] * ("--rounds" in takes)
    code = main([*words, *further])
    printed = capsys.readouterr()
    assert (code, "Traceback" in printed.err) == (0, False), printed.err
    assert printed.out or {path: path.stat().st_mtime_ns for path in folder.rglob("*")} != before


@of("python", "python3")
def test_each_script_and_module_is_there_and_knows_its_options(words, monkeypatch):
    monkeypatch.chdir(README.parent)
    monkeypatch.syspath_prepend(str(README.parent))
    if words[:2] in (["-m", "venv"], ["-m", "tf2onnx.convert"]):
        return  # somebody else's
    file = Path(importlib.util.find_spec(words[1]).origin) if words[0] == "-m" else Path(words[0])
    if file.name == "__init__.py":  # a package's own
        file = file.with_name("__main__.py")
    source = file.read_text(encoding="utf-8")
    assert 'if __name__ == "__main__":' in source
    assert all(f'"{word}"' in source for word in words[2:] if word.startswith("--"))


@of("pip")
def test_each_extra_that_is_installed_is_one(words):
    named = {extra for word in words for found in re.findall(r"\[(.*?)\]", word) for extra in found.split(",")}
    known = re.findall(r"^(\w+) =$", (README.parent / "setup.cfg").read_text(encoding="utf-8").split(
        "[options.extras_require]")[1], re.MULTILINE)
    assert named
    assert named <= set(known)


def test_fuzz_does_what_the_readme_says(tmp_path):
    (words,) = (words for words in commands() if words[1] == "tests/fuzz.py")
    few = ["3" if word == "1000000" else word for word in words[1:]]
    further = ["--kind", "safetensors", "--workers", "1", "--save", str(tmp_path)]
    done = subprocess.run([sys.executable, *few, *further], cwd=README.parent, capture_output=True, text=True,
                          timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def test_the_kit_says_of_a_missing_denominator_what_the_readme_shows(capsys):
    """The README's own lines, with Grad-CAM++ as torchcam has it in the place of a framework."""
    pytest.importorskip("onnx", reason="needs the extra: pip install 'npgradcam[onnx]'")
    ((code, shown),) = re.findall(r"```py\n(.*?)```\n```\n(.*?)```", TEXT, re.DOTALL)
    tree = ast.parse(code)
    (mine,) = (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "mine")
    mine.body = ast.parse("return framework(model, images, target, layer)").body
    theirs, called = ng.conventions["torchcam 0.5.0"], []

    def framework(model, images, target, layer):
        return theirs.apply(ng.grad_cam_plus_plus(network(model), images, target, layer, score=theirs.score))

    held = {"ng": ng, "framework": framework}
    exec(compile(tree, "README", "exec"), held)  # noqa: S102
    held["test_mine"](lambda *given: called.append(given))
    assert called == [(held["mine"], "grad-cam-plus-plus")]
    assert importlib.util.find_spec(*re.findall(r'pytest_plugins = \["(.*?)"\]', code))
    assert " ".join(capsys.readouterr().out.split()).startswith(" ".join(shown.split()).removesuffix("..."))
