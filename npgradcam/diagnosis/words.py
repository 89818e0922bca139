"""What is wrong, in words: one sentence for each choice of a map that is not the paper's."""

from __future__ import annotations

WEIGHED = {
    "mean": "alpha is the mean of the gradients, not {base}",
    "sum": "alpha is the sum of the gradients, not their mean (on a pooled linear head that is CAM)",
    "maximum": "alpha is the largest gradient of a channel, not their mean",
    "rectified": "negative gradients are cut off before their mean",
    "magnitude": "alpha is the mean of the gradients' magnitudes",
    "positive mean": "negative alphas are cut off: what speaks against the class is left out",
    "magnitude of the mean": "the sign of alpha is lost: its magnitude weighs the channels",
    "term by term": "each weighed channel is rectified before the sum, not the sum",
    "of the batch": "alpha is averaged over all images of the batch, not image by image",
    "of the first image": "alpha is that of the batch's first image, for all images",
    "over rows": "alpha is a mean over the rows alone: each column keeps one of its own",
    "over columns": "alpha is a mean over the columns alone: each row keeps one of its own",
    "reshaped": "gradients are reshaped, not transposed, to channels last: alphas mix channels",
    "softmax": "alphas went through a softmax: they are positive and sum to 1",
    "unweighted": "feature maps are averaged, not weighed by gradients",
    "gradients alone": "gradients are averaged, no feature map is weighed",
    "equation 19": "Grad-CAM++ without an epsilon, as in equation (19)",
    "equation 19 + 1e-6": "1e-6 in the denominator of Grad-CAM++, which outweighs small squared gradients",
    "no denominator": "denominator of Grad-CAM++ missing",
    "product inside": "in Grad-CAM++ the sum of A g^3, not the sum of A times g^3",
    "one cell": "in Grad-CAM++ each cell's own A in the denominator, not the sum of A over all cells",
    "both signs": "in Grad-CAM++ gradients of both signs, not ReLU(g) alone",
    "mean activation": "in Grad-CAM++ the mean of the activations, not their sum",
    "normalised alphas": "in Grad-CAM++ alphas that sum to 1, and a factor exp(score)",
    "no activation": "in Grad-CAM++ no A in the denominator: 2 g^2 alone",
    "one for two": "in Grad-CAM++ 1 for 2 in the denominator's 2 g^2",
    "all channels": "in Grad-CAM++ the sum of A over all channels too, not over the cells of each",
    "mean over cells": "in Grad-CAM++ weights are a mean over the cells, not their sum",
    "exponential": "in Grad-CAM++ a factor exp(score) was left in the weights",
    "of the exponential": "in Grad-CAM++ gradients of exp(score), in alpha too",
    "share": "XGrad-CAM without an epsilon",
    "share + 1e-7": "1e-7 in the denominator of XGrad-CAM",
}
FACTORS = {
    "channels": "weighed channels are averaged, not summed",
    "length": "alphas are divided by their length, the root of the sum of their squares",
    "largest": "alphas are divided by the largest magnitude among them",
    "magnitudes": "alphas are divided by the sum of their magnitudes",
    "rows": "alpha is a sum over the rows, but a mean over the columns",
    "columns": "alpha is a mean over the rows, but a sum over the columns",
    "images": "the score is a mean over the images of the batch, so that gradients are divided by their number",
    "root mean square": "gradients are divided by the root of their mean square",
}
SCORED = {
    "probability": "gradient of the probability (softmax or sigmoid), not of the logit",
    "log-probability": "gradient of the log-probability (the cross-entropy, reversed), not of the logit",
    "all classes": "gradient of the sum of all classes' logits, not of one",
}
OWN = "gradient of the probability, which is what the network returns, not of the logit"
TITLES = {"grad-cam": "Grad-CAM", "grad-cam-plus-plus": "Grad-CAM++", "xgrad-cam": "XGrad-CAM",
          "hires-cam": "HiResCAM", "layer-cam": "LayerCAM"}
OWNERS = {"paper": "the paper", "paper, L^c": "the paper's L^c", "npgradcam, saved": "what npgradcam saves"}
TURNED = {
    "transposed": "height and width swapped: the map is transposed",
    "mirrored": "left and right swapped",
    "upside down": "top and bottom swapped",
    "half turn": "turned by 180 degrees",
    "last first": "the images' order is reversed: the last one's map comes first",
}
NEGATED = "sign reversed: the negative gradient (counterfactual), or a loss in the place of a score"
SCALED = {
    "length": "divided by its length, the root of the sum of squares over its cells",
    "sum": "divided by its sum over all cells",
    "deviation": "shifted and scaled to the mean 0 and the standard deviation 1",
}
INVERTED = "inverted: one minus the map"
LOST = "magnitudes in the place of the ReLU: what speaks against the class counts for it"
SWAPPED = "height and width change places in the size"


def weighed(weighing: str, base: str) -> str:
    """Say how feature maps are weighed where the base does otherwise."""
    return WEIGHED[weighing].format(base={"sum": "their sum"}.get(base, base))


def classes(target: tuple[int, ...]) -> str:
    """Name the class, or the classes of several rows.

    Examples
    --------
    >>> classes((3, 3)), classes((3, 5))
    ('class 3', 'classes 3, 5')
    """
    same = len(set(target)) == 1
    return f"class {target[0]}" if same else f"classes {', '.join(map(str, target))}"


def rounded(error: float) -> str:
    """Write an error with one significant digit.

    Examples
    --------
    >>> rounded(6.03e-8), rounded(0.0), rounded(0.123)
    ('6e-8', '0', '0.1')
    """
    if not 0 < error < 1e-3:
        return f"{error:.1g}"
    mantissa, exponent = f"{error:.0e}".split("e")
    return f"{mantissa}e{int(exponent)}"
