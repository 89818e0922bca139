"""What the README says is so: its Python prints what it shows, its commands and its paths exist."""

import doctest
import re
from pathlib import Path

import pytest
from small_nets import needs_imagenet

README = Path(__file__).parents[1] / "README.md"


@needs_imagenet
def test_the_python_lines_print_what_the_readme_shows(monkeypatch):
    pytest.importorskip("onnx", reason="needs the extra: pip install 'npgradcam[onnx]'")
    monkeypatch.chdir(README.parent)
    example = "".join(re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL))
    test = doctest.DocTestParser().get_doctest(example, {}, "README", str(README), 0)
    told = []
    result = doctest.DocTestRunner(verbose=False).run(test, out=told.append)
    assert result.attempted >= 8
    assert not result.failed, "".join(told)


@pytest.mark.parametrize("name", ["explain", "test"])
def test_ci_finds_each_command_block(name):
    assert re.search(rf"<!-- ci: {name} -->\n```sh\n.+?```", README.read_text(encoding="utf-8"), re.DOTALL)


def test_every_path_that_the_readme_links_exists():
    links = re.findall(r"\]\(([^)#:]+)\)|src=\"([^\":]+)\"", README.read_text(encoding="utf-8"))
    paths = [a or b for a, b in links]
    assert paths
    assert [path for path in paths if not (README.parent / path).exists()] == []
