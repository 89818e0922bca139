"""What `--help` says below the options of each command: what it does with them, examples, exit codes."""

from __future__ import annotations

ABOUT = "See why a convolutional network decided so: CAM, Grad-CAM and guided backpropagation, on a CPU."
EXAMPLES = """\
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
EXPLAIN = """\
Writes one folder for each photograph: input.png (what the network saw), a picture and an array (.npy) for each method
and class, grid.png (rows are methods, columns are classes) and manifest.json, which names every convention used.

examples:
  npgradcam explain --sample cat_and_coffee --class "tiger cat" --class espresso
  npgradcam explain cat.jpg --method grad-cam --method guided-grad-cam --out why
  npgradcam explain cat.jpg --method all --out everything
  npgradcam explain cat.jpg --method grad-cam-plus-plus --method layer-cam --layer blocks.10.add
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
STUDY = """\
Writes one self-contained page with every number between the photograph and its Grad-CAM map: click one, and see the
arithmetic that made it. It asks nothing of any server, and checks its own numbers when it is opened. With --text the
steps are printed instead, with --npz their arrays are written; with -o the page as well.

examples:
  npgradcam study --sample cat_and_coffee --class "Egyptian cat" --class espresso -o why.html
  npgradcam study cat.jpg --layer blocks.4.add --layer blocks.10.add --layer head.relu    shallow to deep
  npgradcam study --sample two_shapes --model shapes --text --cell 6,5 --channel 20       in the terminal
  npgradcam study --sample two_shapes --model shapes --npz steps.npz                      numpy.load reads it
  npgradcam study --sample two_shapes --model shapes --text -o why.html --npz steps.npz   all three

In an .npz, with several --layer, the steps of the first have their own names (alpha, cam, ...) and those of any further
one begin with layer/NAME/ (layer/relu2/alpha); the text about says what each is.

exit codes: as `npgradcam explain`
"""
PREDICT = """\
examples:
  npgradcam predict --sample coffee
  npgradcam predict *.jpg --top-k 1 --json
"""
LAYERS = """\
Prints name, kind, output shape and parameters of each layer; an arrow marks the one that Grad-CAM explains by default.

examples:
  npgradcam layers
  npgradcam layers --model shapes
  npgradcam layers --model model.onnx          nodes, and the tensors between them: --layer takes either name
"""
MODELS = """\
Prints name, parameters and input of each architecture, whether it ends as CAM needs it, and where its weights are.

examples:
  npgradcam models
  npgradcam explain cat.jpg --model resnet18 --weights resnet18.pth
"""
WARMUP = """\
Explains a blank picture by every method, so that all kernels that the network needs are compiled for this machine and
kept for later runs. What is compiled depends on the network's layers, not on its weights: a name needs no checkpoint.

examples:
  npgradcam warmup
  npgradcam warmup --model vgg16
  npgradcam warmup --model model.onnx --size 512
"""
PROFILE = """\
Runs a random picture through the network and prints what every layer of the plan costs, with the GFLOP/s that it
reaches beside the fastest that a kernel reaches on this machine. A named architecture needs no checkpoint.

examples:
  npgradcam profile
  npgradcam profile vgg16 --back
  npgradcam profile model.onnx --rounds 50 --json
"""
DOCTOR = """\
Looks at everything that speed depends on and says of each part: ok; slow, because ...; missing, because ...; broken,
because ...; with the way out. Nothing is changed, and what is broken is reported, never an error.

examples:
  npgradcam doctor
  npgradcam doctor --json                      for a report of a fault
"""
DIAGNOSE = """\
Compares a map that you computed with what nine implementations make of the same network and picture, and with what goes
wrong: another layer or class, the probability's gradient, a transposed map, another upsampling, a missing ReLU, ...

MAP holds the numbers, before they are colours: numpy.save("my_map.npy", cam), cam a float array, as large as the layer
or as the network's input. Of npgradcam's own record e (e = ng.grad_cam(...)):
  numpy.save("map.npy", e.cam[0])                                       as large as the layer; [0]: the first row
  numpy.save("map.npy", ng.maps.upsample(e.cam, (224, 224))[0])         as large as a picture of 224 x 224

examples:
  npgradcam diagnose my_map.npy cat.jpg --model vgg16 --weights vgg16.pth --class 282
  npgradcam diagnose my_map.npy input.npy --model model.onnx --layer relu5_3 --picture why.png
  npgradcam diagnose maps.npz:cam input.npy --model model.onnx --json

What explains it may be the paper's map, another's convention or a mistake: the answer says which, and so does "verdict"
of --json: paper, convention, departure or unexplained.

exit codes: 0 explained (which is not: right); 5 not explained; otherwise as `npgradcam explain`
"""
VERIFY = """\
Runs what must hold on any network, whatever its weights are: finite differences and adjoints against the backward,
the score as a sum of its parts, CAM against Grad-CAM, classes and images together against one by one, threads, and the
rewritten network against the layers as drawn in float64. Reports besides how much of each method's map survives when
the weights are randomised from the output down (Adebayo et al. 2018), which no number can fail.

examples:
  npgradcam verify
  npgradcam verify model.onnx --preprocess imagenet
  npgradcam verify model.onnx input.npy --layer relu5_3 --class 282 --json
  npgradcam verify two.onnx inputs.npz         of several inputs: numpy.savez("inputs.npz", left=x, right=y)

exit codes: 0 everything holds; 1 something does not; otherwise as `npgradcam explain`
"""
REFERENCE = """\
Copies the reference pack that comes along: small networks as ONNX, with images and every number of their explanations
as .npz, which NumPy reads alone. Its README.md says what is in it. Nothing is fetched.

examples:
  npgradcam reference pack
"""
