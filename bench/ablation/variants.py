"""The rows of the ablation: each differs from its own control in one thing, which is named."""

from __future__ import annotations

from bench.ablation import makings
from bench.ablation.variant import Variant
from bench.systems import systems
from cookie.config import LossConfig

FINE_TUNED = "finetuned"
"""Ends the names of the rows in which pretrained encoders learn as well."""

UNREAD = {
    "fresh_text": "a text encoder that starts at random",
    "glove_text": "a text encoder that starts from GloVe's words",
}
"""Ends of the names of the rows whose text encoder has read no caption before, and what it is."""

_COOKIE = systems["cookie"].build
_IMAGE_TEXT = makings.losses()
_PRETRAINED = (("pretrained_text", True),)
_FRESH = (
    f"The text encoder has {makings.FRESH_TEXT_LAYERS} layers, starts from random weights and "
    "learns; it has seen no caption but those of the training split."
)
_GLOVE = (
    "As with a fresh text encoder, but its words start from the vectors of GloVe (Pennington et "
    "al., 2014; 50 dimensions, turned into the encoder's by a random matrix that keeps angles), "
    "which were learned from Wikipedia and newswire. Rests of words that were cut start at random."
)
_COPIES = "Both transformers start from the same weights, those of the shared one."
_SIZE = "The perceptron's width is chosen so that the parameters above the encoders are COOKIE's."
_SUPERVISION = "Another caption of the same image is supervision that the other rows do without."
_STAGES = (
    "Three losses for half of the steps, then the image-text loss alone for the other half: as "
    "many steps as COOKIE. Pre-trained on other generated pictures, four times as many as there "
    "are for training; of photographs there are no others, so there it is two stages on the same "
    "pairs."
)
_QUEUE = (
    f"The image-text loss also tells a pair from the {LossConfig().queue_size:,} newest of earlier "
    "batches"
)
_FINE_TUNED = (
    "Goes on from the weights of the same system with frozen encoders, for as many steps again, of "
    f"{makings.FINE_TUNING_BATCH} pairs, in which everything learns, by the image-text loss alone."
)
_BUDGET = "The first images of the training split with their captions, for as many steps as all."

VARIANTS: tuple[Variant, ...] = (
    Variant("dual_stream", "linear dual-stream", "image-text loss alone", core=True),
    Variant(
        "cookie_image_text",
        "shared, image-text loss",
        "+ shared transformer",
        "dual_stream",
        core=True,
        build=_COOKIE,
        settings=_IMAGE_TEXT,
    ),
    Variant(
        "cookie_image_image",
        "shared, + image-image loss",
        "+ image-image loss",
        "cookie_image_text",
        build=_COOKIE,
        settings=makings.losses(image_image=True),
    ),
    Variant(
        "cookie_text_text",
        "shared, + text-text loss",
        "+ text-text loss",
        "cookie_image_text",
        build=_COOKIE,
        settings=makings.losses(text_text=True),
    ),
    Variant("cookie", "COOKIE: shared, all three", "+ both losses", "cookie_image_text", core=True),
    Variant(
        "two_views",
        "shared, two-view image-text loss",
        "second views for image-text",
        "cookie",
        core=True,
        build=makings.two_views,
        note="The image-text loss of first and second views, averaged: COOKIE's forward and "
        "backward passes without a unimodal loss.",
    ),
    Variant(
        "unshared",
        "unshared, equal depth",
        "a transformer a path",
        "cookie",
        core=True,
        build=makings.unshared,
        note=_COPIES,
    ),
    Variant(
        "unshared_equal",
        "unshared, equal parameters",
        "a narrower transformer a path",
        "cookie",
        core=True,
        build=makings.unshared,
        settings=makings.unshared_size,
        note=f"{_COPIES} {_SIZE}",
    ),
    Variant(
        "token_mlp",
        "shared token MLP, equal parameters",
        "no attention",
        "cookie",
        core=True,
        build=makings.token_stream,
        settings=makings.token_mlp_size,
        note=_SIZE,
    ),
    Variant(
        "unshared_image_text",
        "unshared, equal depth, image-text loss",
        "a transformer a path",
        "cookie_image_text",
        build=makings.unshared,
        settings=_IMAGE_TEXT,
        note=_COPIES,
    ),
    Variant(
        "token_mlp_image_text",
        "shared token MLP, image-text loss",
        "no attention",
        "cookie_image_text",
        build=makings.token_stream,
        settings=makings.then(makings.token_mlp_size, _IMAGE_TEXT),
        note=_SIZE,
    ),
    Variant(
        "own_norms",
        "shared, LayerNorms a path",
        "own LayerNorms",
        "cookie",
        build=makings.own_norms,
    ),
    *(
        Variant(
            f"cookie_depth_{depth}",
            f"shared, {depth} layers",
            f"{depth} layers",
            "cookie",
            build=_COOKIE,
            settings=makings.layers(depth),
        )
        for depth in (2, 4)
    ),
    Variant(
        "cookie_delete",
        "shared, captions with words deleted",
        "words deleted, not masked",
        "cookie",
        build=_COOKIE,
        settings=makings.text_view("delete"),
    ),
    Variant(
        "cookie_caption",
        "shared, another caption as view",
        "another caption, not masked words",
        "cookie",
        build=_COOKIE,
        settings=makings.text_view("caption"),
        note=_SUPERVISION,
    ),
    Variant(
        "cookie_pretrained",
        "COOKIE, pre-trained and fine-tuned",
        "two stages, not one",
        "cookie",
        build=_COOKIE,
        settings=makings.then(makings.losses(), makings.second_half),
        note=_STAGES,
        system=(("pretraining", makings.first_half),),
    ),
    Variant(
        "cookie_queue",
        "shared, queue of negatives",
        "+ negatives from a queue",
        "cookie",
        build=_COOKIE,
        settings=makings.negatives("queue"),
        note=f"{_QUEUE}, as they were embedded then. He et al. (MoCo, 2020) report that training "
        "fails with such a queue and no momentum.",
    ),
    Variant(
        "cookie_momentum",
        "shared, momentum keys and their queue",
        "+ momentum keys and their queue",
        "cookie",
        build=_COOKIE,
        settings=makings.negatives("momentum"),
        note=f"{_QUEUE} (MoCo); a moving average of the weights embeds them and the batch's own "
        "keys, which costs one more forward pass of the first views a step. Inference uses the "
        "trained weights alone, and the average is not among the parameters counted.",
    ),
    Variant(
        "dual_stream_fresh_text",
        "linear dual-stream, fresh text encoder",
        "fresh text encoder",
        "dual_stream",
        build=makings.fresh_dual_stream,
        settings=makings.fresh_text,
        note=_FRESH,
        system=_PRETRAINED,
    ),
    Variant(
        "cookie_fresh_text",
        "COOKIE, fresh text encoder",
        "COOKIE in place of the dual-stream",
        "dual_stream_fresh_text",
        build=makings.fresh_cookie,
        settings=makings.fresh_text,
        note=_FRESH,
        system=_PRETRAINED,
    ),
    Variant(
        "dual_stream_glove_text",
        "linear dual-stream, text encoder from GloVe",
        "words from GloVe",
        "dual_stream_fresh_text",
        build=makings.glove_dual_stream,
        settings=makings.glove_text,
        note=_GLOVE,
        system=_PRETRAINED,
    ),
    Variant(
        "cookie_glove_text",
        "COOKIE, text encoder from GloVe",
        "COOKIE in place of the dual-stream",
        "dual_stream_glove_text",
        build=makings.glove_cookie,
        settings=makings.glove_text,
        note=_GLOVE,
        system=_PRETRAINED,
    ),
    Variant(
        f"dual_stream_{FINE_TUNED}",
        "linear dual-stream, encoders fine-tuned",
        "+ encoders fine-tuned",
        "dual_stream",
        build=systems["dual_stream"].build,
        settings=makings.fine_tuned,
        note=_FINE_TUNED,
        system=(("start", "dual_stream"),),
    ),
    Variant(
        f"cookie_{FINE_TUNED}",
        "COOKIE, encoders fine-tuned",
        "COOKIE in place of the dual-stream",
        f"dual_stream_{FINE_TUNED}",
        build=_COOKIE,
        settings=makings.fine_tuned,
        note=_FINE_TUNED,
        system=(("start", "cookie"),),
    ),
    *(
        Variant(
            f"{name}_{part}",
            f"{label}, {share:.0%} of the pairs",
            change,
            control,
            build=build,
            note=_BUDGET,
            system=(("train_share", share),),
        )
        for part, share in (("half", 0.5), ("quarter", 0.25), ("tenth", 0.1))
        for name, label, change, control, build in (
            ("cookie", "COOKIE", f"{share:.0%} of the pairs", "cookie", _COOKIE),
            ("unshared", "unshared", "a transformer a path", f"cookie_{part}", makings.unshared),
        )
    ),
)

for _variant in VARIANTS:
    if _variant.build is not None:
        _variant.register()
