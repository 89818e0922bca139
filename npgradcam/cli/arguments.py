"""What commands have in common: a parser whose complaint is one sentence, arguments, and what a value may be.

Nothing but argparse is imported, so that help comes at once.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from math import isfinite
from pathlib import Path
from typing import Any, NoReturn

MOST_MB = 20  # of a page of `study`
MODEL = "efficientnet_lite0"  # where nobody names one
SAMPLES = tuple(sorted(p.stem for p in Path(__file__).parents[1].glob("samples/*") if p.suffix in (".png", ".jpg")))


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaint is one sentence."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where help is, and leave with exit code 2."""
        from npgradcam.errors import printable

        said = printable(" ".join(message.split()))
        if message.endswith("expected one argument"):
            said += " (one that begins with a dash is written --option=-value)"
        self.exit(2, f"npgradcam: error: {said}; see {self.prog} --help\n")

    def _print_message(self, message: str, file: Any = None) -> None:
        """Print help at once, so that a full disk or a closed pipe is noticed: argparse would say nothing."""
        stream = file or sys.stderr
        if message and stream is not None:
            print(message, end="", file=stream, flush=True)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Refuse what is none of an option's choices, with those that are near it."""
        from npgradcam.errors import nearest

        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            near = nearest(str(value), map(str, action.choices or ()))
            error.message += f"; near it: {', '.join(near)}" if near else ""
            raise

    def refuse(self, strangers: Sequence[str]) -> NoReturn:
        """Refuse words that no option takes: a file whose name begins with a dash, an option that is misspelt."""
        from npgradcam.errors import close_matches

        word = next((word for word in strangers if word.startswith("-")), None)
        if word is None:
            self.error(f"expected nothing more, got {strangers[0]}")
        if os.path.lexists(word):
            self.error(f"{word} looks like an option; write the file as ./{word}")
        self.error(f"there is no option {word}; near it: {close_matches(word, self._option_string_actions)}")


MANY = "photographs: JPEG, PNG, WEBP, BMP, GIF or TIFF; a bad one does not stop the others"


def add_photographs(p: Parser, image: str = MANY, sample: str = "a photograph that comes along; repeat it") -> None:
    """Let a command take photographs."""
    p.add_argument("images", nargs="*", metavar="IMAGE", help=image)
    p.add_argument("--sample", action="append", choices=SAMPLES, default=[], metavar="NAME",
                   help=f"{sample}: {', '.join(SAMPLES)}")


def add_classes(p: argparse._ActionsContainer) -> None:
    """Let a command take the classes to explain: named ones, or the best."""
    either = p.add_mutually_exclusive_group()
    either.add_argument("--class", action="append", dest="classes", default=[], metavar="INDEX|LABEL",
                        help="a class to explain, by number or by name; repeat it (default: the network's first guess)")
    either.add_argument("--top-k", type=a_count, metavar="K",
                        help="in place of --class: the K best classes of each photograph")


def add_model(p: Parser) -> None:
    """Let a command take a network, and how it is read and run."""
    group = p.add_argument_group("the network")
    group.add_argument("--model", default=MODEL, metavar="NAME|FILE",
                       help="efficientnet_lite0 (default), _lite1 or _lite2 with ImageNet weights; shapes, a small "
                            "network that comes along; an architecture that `npgradcam models` lists, with --weights; "
                            "or a file: ONNX (.onnx), or what npgradcam.save wrote (.npz)")
    group.add_argument("--weights", type=a_path, metavar="FILE",
                       help="a checkpoint of the named network: PyTorch's (.pth, .pt; read without PyTorch), "
                            ".safetensors or .npz; with --labels, of as many classes as have names there")
    group.add_argument("--preprocess", metavar="P",
                       help="instead of the model's own way from a photograph to its input: imagenet, tf, caffe, lite, "
                            "unit, none, or a .json file: a manifest.json, or what it has under preprocess; most ONNX "
                            "files do not say it themselves")
    group.add_argument("--labels", type=a_path, metavar="FILE",
                       help="names of its classes: a text file with one class a line, synonyms separated by commas")
    group.add_argument("--dtype", choices=("float32", "float64"), default="float32",
                       help="float32 (default), or float64, the exact mode")
    group.add_argument("--backend", choices=("auto", "numba", "numpy"), default="auto",
                       help="auto (default: Numba where it is installed), numba, or numpy, which is slow")


def add_printing(p: Parser, json_help: str) -> None:
    """Let a command print JSON, and print less."""
    group = p.add_argument_group("what is printed")
    group.add_argument("--json", action="store_true", help=json_help)
    add_quiet(group)


def add_quiet(p: argparse._ActionsContainer) -> None:
    """Let a command print less; what that means is the same everywhere."""
    p.add_argument("--quiet", action="store_true",
                   help="no progress and no notes, only errors and results; a result that a file has is printed only "
                        "where --json or --text asks for it")


def a_method(text: str) -> str:
    """Return the name of a method, however it is spelt."""
    return text.lower().replace("++", "-plus-plus")  # Grad-CAM++, where it is to be a file's name as well


def a_path(text: str) -> Path:
    """Return a path; an empty text, as a variable that is not set gives, is none."""
    if not text:
        raise argparse.ArgumentTypeError("expected a path, got nothing")
    return Path(text)


def a_file(*suffixes: str) -> Callable[[str], Path]:
    """Return what makes a path of a text; a name that says it is another kind of file than is written is refused."""
    def named(text: str) -> Path:
        path = a_path(text)
        if (path.suffix or text == "-") and path.suffix.lower() not in suffixes:
            raise argparse.ArgumentTypeError(f"expected a name that ends in {suffixes[0]}, got {text!r}")
        return path

    return named


def a_number(text: str) -> int:
    """Return a whole number."""
    return _a_whole(text, 0, 10**18)


def a_count(text: str) -> int:
    """Return a whole number of at least 1."""
    return _a_whole(text, 1, 10**18)


def a_few(text: str) -> int:
    """Return a whole number from 1 to 1000, of runs that somebody waits for."""
    return _a_whole(text, 1, 1000)


def _a_whole(text: str, least: int, most: int) -> int:
    number = int(text[:30]) if text.isascii() and text.isdigit() else least - 1
    if number < least:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least {least}, got {text[:60]!r}")
    if number > most:
        raise argparse.ArgumentTypeError(f"expected a whole number of at most {most}, got {text[:60]}")
    return number


def a_measure(text: str) -> float:
    """Return a number above 0."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not (number > 0 and isfinite(number)):
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return number
