"""What can be asked for, and the help that teaches it. Nothing but argparse is imported, so that help comes at once."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NamedTuple, NoReturn

from npgradcam._version import __version__


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
MODEL = "efficientnet_lite0"  # where nobody names one
SAMPLES = tuple(sorted(p.stem for p in Path(__file__).parents[1].glob("samples/*") if p.suffix in (".png", ".jpg")))

_ABOUT = "See why a convolutional network decided so: CAM, Grad-CAM and guided backpropagation, on a CPU."
_EXAMPLES = """\
examples:
  npgradcam explain --sample chelsea                           seven methods, for the network's first guess
  npgradcam explain cat.jpg --class "tiger cat" --class 967    for two classes, side by side in grid.png
  npgradcam explain *.jpg --method grad-cam --top-k 3          one method, the three best classes of each
  npgradcam explain --sample chelsea --model shapes            a small network that needs no download
  npgradcam study cat.jpg -o why.html                          every step of it, as a page to click
  npgradcam predict cat.jpg                                    what the network sees in it
  npgradcam layers                                             what --layer can name
  npgradcam verify model.onnx                                  whether every identity holds on your model
  npgradcam profile                                            where the milliseconds go
  npgradcam doctor                                             what makes this machine slow, and the way out
"""
_EXPLAIN = """\
Writes one folder for each photograph: input.png (what the network saw), a picture and an array (.npy) for each method
and class, grid.png (rows are methods, columns are classes) and manifest.json, which names every convention used.

examples:
  npgradcam explain --sample cat_and_coffee --class "tiger cat" --class espresso
  npgradcam explain cat.jpg --method grad-cam --method guided-grad-cam --out why
  npgradcam explain cat.jpg --method all --out everything
  npgradcam explain cat.jpg --method grad-cam++ --method layer-cam --layer blocks.10.add
  npgradcam explain cat.jpg --method grad-cam --layer blocks.10.add --layer head.relu
  npgradcam explain cat.jpg --model vgg16 --weights vgg16.pth --json --quiet
  npgradcam explain cat.jpg --model model.onnx --preprocess imagenet --labels labels.txt

presets for --preprocess (H x W is the network's input):
  imagenet  shorter side to 8/7 of the input, centre; / 255, - (0.485, 0.456, 0.406), / (0.229, 0.224, 0.225)
  caffe     the same, BGR; - (103.939, 116.779, 123.68)
  tf        centre 7/8; / 127.5 - 1          lite   centre 7/8, bicubic; (pixel - 127) / 128
  unit      centre 7/8; / 255                none   whole picture, 0 to 255
  a .json file: {"name": "mine", "size": [H, W], "mean": [...], "std": [...], "channels": "RGB"}, in pixels 0 to 255;
  channels may be BGR or grey

exit codes: 0 done; 2 usage, unknown class or layer, a folder that exists or cannot be written; 3 the model, its weights
or labels; 4 a photograph (the others are done); 130 Ctrl-C (nothing is left half done); 1 a fault of npgradcam
"""
_STUDY = """\
Writes one self-contained page (why.html) with every number between the photograph and its Grad-CAM map: click one, and
see the arithmetic that made it. It asks nothing of any server, and checks its own numbers when it is opened.

examples:
  npgradcam study --sample cat_and_coffee --class "Egyptian cat" --class espresso -o why.html
  npgradcam study cat.jpg --layer blocks.4.add --layer blocks.10.add --layer head.relu    shallow to deep
  npgradcam study --sample two_shapes --model shapes --text --cell 6,5 --channel 20       in the terminal
  npgradcam study --sample two_shapes --model shapes --npz steps.npz                      numpy.load reads it
"""
_PREDICT = """\
examples:
  npgradcam predict --sample coffee
  npgradcam predict *.jpg --top-k 1 --json
"""
_LAYERS = """\
Prints name, kind, output shape and parameters of each layer; an arrow marks the one that Grad-CAM explains by default.

examples:
  npgradcam layers
  npgradcam layers --model shapes
  npgradcam layers --model model.onnx          nodes, and the tensors between them: --layer takes either name
"""
_MODELS = """\
Prints name, parameters and input of each architecture, whether it ends as CAM needs it, and where its weights are.

examples:
  npgradcam models
  npgradcam explain cat.jpg --model resnet18 --weights resnet18.pth
"""
_WARMUP = """\
Explains a blank picture by every method, so that all kernels that the network needs are compiled for this machine and
kept for later runs. What is compiled depends on the network's layers, not on its weights: a name needs no checkpoint.

examples:
  npgradcam warmup
  npgradcam warmup --model vgg16
  npgradcam warmup --model model.onnx --size 512
"""
_PROFILE = """\
Runs a random picture through the network and prints what every layer of the plan costs, with the GFLOP/s that it
reaches beside the fastest that a kernel reaches on this machine. A named architecture needs no checkpoint.

examples:
  npgradcam profile
  npgradcam profile vgg16 --back
  npgradcam profile model.onnx --rounds 50 --json
"""
_DOCTOR = """\
Looks at everything that speed depends on and says of each part: ok; slow, because ...; missing, because ...; broken,
because ...; with the way out. Nothing is changed, and what is broken is reported, never an error.

examples:
  npgradcam doctor
  npgradcam doctor --json                      for a report of a fault
"""
_DIAGNOSE = """\
Compares a map that you computed with what nine implementations make of the same network and picture, and with what goes
wrong: another layer or class, the probability's gradient, a transposed map, another upsampling, a missing ReLU, ...

examples:
  npgradcam diagnose my_map.npy cat.jpg --model vgg16 --weights vgg16.pth --class 282
  npgradcam diagnose my_map.npy input.npy --model model.onnx --layer relu5_3 --picture why.png
  npgradcam diagnose maps.npz:cam input.npy --model model.onnx --json

exit codes: 0 explained; 5 not explained; otherwise as `npgradcam explain`
"""


_VERIFY = """\
Runs what must hold on any network, whatever its weights are: finite differences and adjoints against the backward,
the score as a sum of its parts, CAM against Grad-CAM, classes and images together against one by one, threads, and the
rewritten network against the layers as drawn in float64. Reports besides how much of each method's map survives when
the weights are randomised from the output down (Adebayo et al. 2018), which no number can fail.

examples:
  npgradcam verify
  npgradcam verify model.onnx --preprocess imagenet
  npgradcam verify model.onnx input.npy --layer relu5_3 --class 282 --json

exit codes: 0 everything holds; 1 something does not; otherwise as `npgradcam explain`
"""


_REFERENCE = """\
Copies the reference pack that comes along: small networks as ONNX, with images and every number of their explanations
as .npz, which NumPy reads alone. Its README.md says what is in it. Nothing is fetched.

examples:
  npgradcam reference pack
"""


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaint is one sentence."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where help is, and leave with exit code 2."""
        self.exit(2, f"npgradcam: error: {' '.join(message.split())}; see {self.prog} --help\n")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    top = Parser(prog="npgradcam", description=_ABOUT, epilog=_EXAMPLES, formatter_class=argparse.RawTextHelpFormatter)
    top.add_argument("--version", action="version", version=f"npgradcam {__version__}", help="print the version")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=Parser)
    _explain(_command(commands, "explain", "draw why a network says what it says of a photograph", _EXPLAIN))
    _study(_command(commands, "study", "show every step from a photograph to its map, down to the products", _STUDY))
    _predict(_command(commands, "predict", "print a network's best classes for a photograph", _PREDICT))
    _layers(_command(commands, "layers", "print a network's layers", _LAYERS))
    _diagnose(_command(commands, "diagnose", "find out what explains a map that you computed", _DIAGNOSE))
    _verify(_command(commands, "verify", "check a model against everything that must hold", _VERIFY))
    _reference(_command(commands, "reference", "copy small networks with the right answers to a folder", _REFERENCE))
    _models(_command(commands, "models", "print the architectures that have a name", _MODELS))
    _warmup(_command(commands, "warmup", "compile what a network needs, before the first photograph", _WARMUP))
    _profile(_command(commands, "profile", "print where the milliseconds go, layer by layer", _PROFILE))
    _doctor(_command(commands, "doctor", "say what makes this machine slow, and what to do about it", _DOCTOR))
    return top


def _command(commands: argparse._SubParsersAction[Parser], name: str, does: str, epilog: str) -> Parser:
    return commands.add_parser(
        name,
        help=does,
        description=f"{does[0].upper()}{does[1:]}.",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _explain(p: Parser) -> None:
    _photographs(p)
    what = p.add_argument_group("what to explain")
    what.add_argument("--method", action="append", type=_method, choices=("all", *METHODS), metavar="METHOD",
                      help=f"{', '.join(METHODS)}, or all; repeat it (default: the first {len(OF_THE_PAPER)}, those of "
                           "the Grad-CAM paper; one that does not apply to the network says so)")
    what.add_argument("--class", action="append", dest="classes", default=[], metavar="INDEX|LABEL",
                      help="a class to explain, by number or by name; repeat it (default: the network's first guess)")
    what.add_argument("--top-k", type=_positive, default=1, metavar="K",
                      help="without --class: explain the K best classes of each photograph (default: 1)")
    what.add_argument("--layer", action="append", default=[], metavar="NAME",
                      help="the layer whose maps are weighed, as `npgradcam layers` names it; repeat it")
    _model(p)
    result = p.add_argument_group("where it goes")
    result.add_argument("--out", type=Path, metavar="FOLDER",
                        help="the folder in which each photograph gets its own (default: explained; with --model X, "
                             "explained-X)")
    result.add_argument("--overwrite", action="store_true",
                        help="replace a folder that an earlier run wrote, once the new one is whole")
    _printing(p, "print the manifests as a JSON list, instead of a summary")


def _diagnose(p: Parser) -> None:
    p.add_argument("map", metavar="MAP", help="the map: an .npy file, or an .npz file (FILE:NAME where it has several)")
    p.add_argument("images", nargs="?", metavar="IMAGE",
                   help="the photograph; or an .npy file with what went into the network, (N, C, H, W)")
    p.add_argument("--sample", choices=SAMPLES, metavar="NAME", help=f"in its place: {', '.join(SAMPLES)}")
    what = p.add_argument_group("what it is meant to be")
    what.add_argument("--class", action="append", dest="classes", default=[], metavar="INDEX|LABEL",
                      help="the class it explains; once for each image (default: the network's first guess)")
    what.add_argument("--layer", metavar="NAME", help="the layer it is of (default: the one `npgradcam layers` marks)")
    what.add_argument("--method", type=_method, choices=COMPARED, default="grad-cam", metavar="METHOD",
                      help=f"{', '.join(COMPARED)} (default: grad-cam)")
    what.add_argument("--tolerance", type=float, default=1e-4, metavar="T",
                      help="the largest difference, relative to the map's largest magnitude, that explains it (1e-4)")
    _model(p)
    p.add_argument("--picture", type=Path, metavar="FILE",
                   help="a new PNG of the map, the nearest one, and their difference")
    _printing(p, "print JSON instead of sentences")


def _verify(p: Parser) -> None:
    p.add_argument("network", nargs="?", metavar="MODEL", help="the same as --model")
    p.add_argument("image", nargs="?", metavar="IMAGE",
                   help="a photograph, or an .npy file with what goes into the network, (N, C, H, W) (default: two "
                        "sample photographs; seeded noise where the model does not say how a photograph goes in)")
    p.add_argument("--class", action="append", dest="classes", default=[], metavar="INDEX|LABEL",
                   help="the class whose score is differentiated (default: the network's first guess)")
    p.add_argument("--layer", metavar="NAME", help="the layer of A (default: the one `npgradcam layers` marks)")
    p.add_argument("--no-randomise", action="store_false", dest="randomise", help="leave the randomised weights out")
    _model(p)
    _printing(p, "print JSON instead of tables")


def _reference(p: Parser) -> None:
    p.add_argument("out", type=Path, metavar="FOLDER", help="where to: a folder that is not there yet, or is empty")
    p.add_argument("--quiet", action="store_true", help="nothing is printed but errors")


def _study(p: Parser) -> None:
    _photographs(p)
    what = p.add_argument_group("what to study")
    what.add_argument("--class", action="append", dest="classes", default=[], metavar="INDEX|LABEL",
                      help="a class, by number or by name; repeat it (default: the network's first guess)")
    what.add_argument("--top-k", type=_positive, default=1, metavar="K", help="without --class: the K best classes")
    what.add_argument("--layer", action="append", default=[], metavar="NAME",
                      help="the layer whose maps are weighed; repeat it to compare several")
    what.add_argument("--channel", type=int, metavar="K", help="with --text: the feature map whose numbers are shown")
    what.add_argument("--cell", metavar="I,J", help="with --text: the cell whose numbers are shown")
    _model(p)
    result = p.add_argument_group("where it goes")
    result.add_argument("-o", "--out", type=Path, metavar="FILE", help="the page (default: why.html)")
    result.add_argument("--text", action="store_true", help="print the steps instead of writing a page")
    result.add_argument("--npz", type=Path, metavar="FILE", help="write every array instead of a page")
    result.add_argument("--lang", choices=("en", "ko"), default="en",
                        help="the language of --text, and in which the page opens; both are inside")
    result.add_argument("--budget", type=float, default=5, metavar="MB",
                        help="how large the page may be (default: 5); maps of least influence are added up in one")
    result.add_argument("--overwrite", action="store_true", help="replace a file that an earlier run wrote")
    result.add_argument("--quiet", action="store_true", help="only errors, and what --text prints")


def _predict(p: Parser) -> None:
    _photographs(p)
    p.add_argument("--top-k", type=_positive, default=5, metavar="K", help="how many classes to print (default: 5)")
    _model(p)
    _printing(p, "print a JSON list instead of a table")


def _layers(p: Parser) -> None:
    _model(p)
    p.add_argument("--json", action="store_true", help="print JSON instead of a table")


def _models(p: Parser) -> None:
    p.add_argument("--json", action="store_true", help="print JSON instead of a table")


def _warmup(p: Parser) -> None:
    p.add_argument("--size", type=_positive, metavar="N",
                   help="explain a picture of N x N pixels (default: the size that the network was trained with)")
    _model(p)
    p.add_argument("--quiet", action="store_true", help="only the result")


def _profile(p: Parser) -> None:
    p.add_argument("network", nargs="?", metavar="MODEL", help="the same as --model")
    p.add_argument("--back", action="store_true", help="time the way back to the pixels as well (guided)")
    p.add_argument("--rounds", type=_positive, default=20, metavar="N", help="runs to take medians of (default: 20)")
    _model(p)
    _printing(p, "print JSON instead of a table")


def _doctor(p: Parser) -> None:
    p.add_argument("--json", action="store_true", help="print JSON instead of a table")


def _photographs(p: Parser) -> None:
    p.add_argument("images", nargs="*", metavar="IMAGE",
                   help="photographs: JPEG, PNG, WEBP, BMP, GIF or TIFF; a bad one does not stop the others")
    p.add_argument("--sample", action="append", choices=SAMPLES, default=[], metavar="NAME",
                   help=f"a photograph that comes along: {', '.join(SAMPLES)}; repeat it")


def _model(p: Parser) -> None:
    group = p.add_argument_group("the network")
    group.add_argument("--model", default=MODEL, metavar="NAME|FILE",
                       help="efficientnet_lite0 (default), _lite1 or _lite2 with ImageNet weights; shapes, a small "
                            "network that comes along; an architecture that `npgradcam models` lists, with --weights; "
                            "or a file: ONNX (.onnx), or what npgradcam.save wrote (.npz)")
    group.add_argument("--weights", type=Path, metavar="FILE",
                       help="a checkpoint of the named network: PyTorch's (.pth, .pt; read without PyTorch), "
                            ".safetensors or .npz; with --labels, of as many classes as these")
    group.add_argument("--preprocess", metavar="P",
                       help="instead of the model's own way from a photograph to its input: imagenet, tf, caffe, lite, "
                            "unit, none, or a .json file: a manifest.json, or what it has under preprocess; most ONNX "
                            "files do not say it themselves")
    group.add_argument("--labels", type=Path, metavar="FILE",
                       help="names of its classes: one class a line, synonyms separated by commas")
    group.add_argument("--dtype", choices=("float32", "float64"), default="float32",
                       help="float32 (default), or float64, the exact mode")
    group.add_argument("--backend", choices=("auto", "numba", "numpy"), default="auto",
                       help="auto (default: Numba where it is installed), numba, or numpy, which is slow")


def _printing(p: Parser, json_help: str) -> None:
    group = p.add_argument_group("what is printed")
    group.add_argument("--json", action="store_true", help=json_help)
    quiet = "no progress, no summary, no notes: only errors, and what --json or predict prints"
    group.add_argument("--quiet", action="store_true", help=quiet)


def _method(text: str) -> str:
    return text.replace("++", "-plus-plus")  # Grad-CAM++, where it is to be a file's name as well


def _positive(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return number

