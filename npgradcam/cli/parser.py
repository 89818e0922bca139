"""What can be asked for, and the help that teaches it. Nothing but argparse is imported, so that help comes at once."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NamedTuple

from npgradcam._version import __version__
from npgradcam.cli import epilogs
from npgradcam.cli.arguments import (
    MOST_MB,
    SAMPLES,
    Parser,
    a_count,
    a_few,
    a_file,
    a_measure,
    a_method,
    a_number,
    a_path,
    add_classes,
    add_model,
    add_photographs,
    add_printing,
    add_quiet,
)


class Method(NamedTuple):
    """A method: what a figure calls it, and what of a network it reads: "input", "layer", "head"."""

    title: str
    reads: tuple[str, ...]


OF_THE_PAPER = {  # what the Grad-CAM paper shows side by side, and `explain` where nobody names a method
    "gradient": Method("Gradient", ("input",)),
    "deconvnet": Method("Deconvnet", ("input",)),
    "guided-backprop": Method("Guided backprop", ("input",)),
    "cam": Method("CAM", ("head",)),
    "grad-cam": Method("Grad-CAM", ("layer",)),
    "guided-grad-cam": Method("Guided Grad-CAM", ("layer", "input")),
    "counterfactual-grad-cam": Method("Counterfactual Grad-CAM", ("layer",)),
}
RELATIVES = {
    "grad-cam-plus-plus": Method("Grad-CAM++", ("layer",)),
    "xgrad-cam": Method("XGrad-CAM", ("layer",)),
    "hires-cam": Method("HiResCAM", ("layer",)),
    "layer-cam": Method("LayerCAM", ("layer",)),
}
COMPARED = ("grad-cam", *RELATIVES)  # what `diagnose` knows
METHODS = {**OF_THE_PAPER, **RELATIVES}  # in the order of the rows of grid.png


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    top = Parser(prog="npgradcam", description=epilogs.ABOUT, epilog=epilogs.EXAMPLES,
                 formatter_class=argparse.RawTextHelpFormatter)
    top.add_argument("--version", action="version", version=f"npgradcam {__version__}", help="print the version")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=Parser)
    _explain(_command(commands, "explain", "draw why a network says what it says of a photograph"))
    _study(_command(commands, "study", "show every step from a photograph to its map, down to the products"))
    _predict(_command(commands, "predict", "print a network's best classes for a photograph"))
    _layers(_command(commands, "layers", "print a network's layers"))
    _diagnose(_command(commands, "diagnose", "find out what explains a map that you computed"))
    _verify(_command(commands, "verify", "check a model against everything that must hold"))
    _reference(_command(commands, "reference", "copy small networks with the right answers to a folder"))
    _models(_command(commands, "models", "print the architectures that have a name"))
    _warmup(_command(commands, "warmup", "compile what a network needs, before the first photograph"))
    _profile(_command(commands, "profile", "print where the milliseconds go, layer by layer"))
    _doctor(_command(commands, "doctor", "say what makes this machine slow, and what to do about it"))
    return top


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return what the command line asks for; what no option takes is refused by the command that was meant."""
    options, strangers = build_parser().parse_known_args(arguments)
    if isinstance(getattr(options, "images", None), list) and not any(word.startswith("-") for word in strangers):
        options.images += strangers  # photographs may stand before and after options; argparse takes one group of them
    elif strangers:
        options.refuse(strangers)
    return options


def _command(commands: argparse._SubParsersAction[Parser], name: str, does: str) -> Parser:
    command = commands.add_parser(
        name,
        help=does,
        description=f"{does[0].upper()}{does[1:]}.",
        epilog=getattr(epilogs, name.upper(), None),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(refuse=command.refuse)
    return command


def _explain(p: Parser) -> None:
    add_photographs(p)
    what = p.add_argument_group("what to explain")
    what.add_argument("--method", action="append", type=a_method, choices=("all", *METHODS), metavar="METHOD",
                      help=f"{', '.join(METHODS)}, or all; repeat it (default: the first {len(OF_THE_PAPER)}, those of "
                           "the Grad-CAM paper; one that does not apply to the network says so)")
    add_classes(what)
    what.add_argument("--layer", action="append", default=[], metavar="NAME",
                      help="the layer whose maps are weighed, as `npgradcam layers` names it; repeat it (default: the "
                           "one that is marked there)")
    add_model(p)
    result = p.add_argument_group("where it goes")
    result.add_argument("--out", type=a_path, metavar="FOLDER",
                        help="the folder in which each photograph gets its own (default: explained; with --model X, "
                             "explained-X)")
    result.add_argument("--overwrite", action="store_true",
                        help="replace a folder that an earlier run wrote, once the new one is whole")
    add_printing(p, "print the manifests as a JSON list, instead of a summary")


def _diagnose(p: Parser) -> None:
    p.add_argument("map", metavar="MAP", help="the map: an .npy file, or an .npz file (FILE:NAME where it has several)")
    p.add_argument("images", nargs="?", metavar="IMAGE",
                   help="the photograph; or an .npy file with what went into the network, (N, C, H, W)")
    p.add_argument("--sample", choices=SAMPLES, metavar="NAME",
                   help=f"in its place, a photograph that comes along: {', '.join(SAMPLES)}")
    what = p.add_argument_group("what it is meant to be")
    what.add_argument("--class", action="append", dest="classes", default=[], metavar="INDEX|LABEL",
                      help="the class it explains; once for each image (default: the network's first guess)")
    what.add_argument("--layer", metavar="NAME", help="the layer it is of (default: the one `npgradcam layers` marks)")
    what.add_argument("--method", type=a_method, choices=COMPARED, default="grad-cam", metavar="METHOD",
                      help=f"{', '.join(COMPARED)} (default: grad-cam)")
    what.add_argument("--tolerance", type=a_measure, default=1e-4, metavar="T",
                      help="the largest difference, relative to the map's largest magnitude, that explains it "
                           "(default: 1e-4)")
    add_model(p)
    p.add_argument("--picture", type=a_file(".png"), metavar="FILE",
                   help="a new PNG of the map, the nearest one, and their difference")
    add_printing(p, "print JSON instead of sentences")


def _verify(p: Parser) -> None:
    p.add_argument("network", nargs="?", metavar="MODEL", help="the same as --model")
    p.add_argument("image", nargs="?", metavar="IMAGE",
                   help="a photograph, or an .npy file with what goes into the network, (N, C, H, W); where it has "
                        "several inputs an .npz file with an array for each (default: two sample photographs; seeded "
                        "noise where there are several, or the model does not say how a photograph goes in)")
    p.add_argument("--class", action="append", dest="classes", default=[], metavar="INDEX|LABEL",
                   help="the class whose score is differentiated (default: the network's first guess)")
    p.add_argument("--layer", metavar="NAME", help="the layer of A (default: the one `npgradcam layers` marks)")
    p.add_argument("--no-randomise", action="store_false", dest="randomise", help="leave the randomised weights out")
    add_model(p)
    add_printing(p, "print JSON instead of tables")


def _reference(p: Parser) -> None:
    p.add_argument("out", type=a_path, metavar="FOLDER", help="where to: a folder that is not there yet, or is empty")
    add_quiet(p.add_argument_group("what is printed"))


def _study(p: Parser) -> None:
    add_photographs(p, "the photograph, one: JPEG, PNG, WEBP, BMP, GIF or TIFF", "in its place, one that comes along")
    what = p.add_argument_group("what to study")
    add_classes(what)
    what.add_argument("--layer", action="append", default=[], metavar="NAME",
                      help="the layer whose maps are weighed, as `npgradcam layers` names it; repeat it to compare "
                           "several (default: the one that is marked there)")
    add_model(p)
    result = p.add_argument_group("where it goes")
    result.add_argument("-o", "--out", type=a_file(".html", ".htm"), metavar="FILE",
                        help="write the page to FILE (default: why.html, unless --text or --npz asks for something "
                             "else)")
    result.add_argument("--npz", type=a_file(".npz"), metavar="FILE",
                        help="write the array of every step, layer and signal to FILE")
    result.add_argument("--text", action="store_true", help="print the steps")
    result.add_argument("--channel", type=a_number, metavar="K",
                        help="of --text: the feature map whose numbers are printed (default: the one that gives the "
                             "cell most)")
    result.add_argument("--cell", metavar="I,J",
                        help="of --text: row and column of the cell whose numbers are printed (default: the largest)")
    result.add_argument("--lang", choices=("en", "ko"), default="en",
                        help="the language of --text, and the one in which the page opens; a page has both (default: "
                             "en)")
    result.add_argument("--budget", type=a_measure, metavar="MB",
                        help=f"how large a page to aim at (default: 5; at most {MOST_MB}): maps that would not fit are "
                             "added up in one, those of least influence first; pictures and tables take what they need")
    result.add_argument("--overwrite", action="store_true", help="replace a file that an earlier run wrote")
    add_quiet(p.add_argument_group("what is printed"))


def _predict(p: Parser) -> None:
    add_photographs(p)
    p.add_argument("--top-k", type=a_count, default=5, metavar="K", help="how many classes to print (default: 5)")
    add_model(p)
    add_printing(p, "print a JSON list instead of a table")


def _layers(p: Parser) -> None:
    add_model(p)
    p.add_argument("--json", action="store_true", help="print JSON instead of a table")


def _models(p: Parser) -> None:
    p.add_argument("--json", action="store_true", help="print JSON instead of a table")


def _warmup(p: Parser) -> None:
    p.add_argument("--size", type=a_count, metavar="N",
                   help="explain a picture of N x N pixels (default: the size that the network was trained with)")
    add_model(p)
    add_quiet(p.add_argument_group("what is printed"))


def _profile(p: Parser) -> None:
    p.add_argument("network", nargs="?", metavar="MODEL", help="the same as --model")
    p.add_argument("--back", action="store_true", help="time the way back to the pixels as well (guided)")
    p.add_argument("--rounds", type=a_few, default=20, metavar="N",
                   help="runs to take medians of (default: 20; at most 1000)")
    add_model(p)
    add_printing(p, "print JSON instead of a table")


def _doctor(p: Parser) -> None:
    p.add_argument("--json", action="store_true", help="print JSON instead of a table")
