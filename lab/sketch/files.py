"""Picture files read by a network, one JSON-safe record each: what was found and read, or why nothing was."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from lab.data.load import Dataset
from lab.data.pictures import read_channels, read_colours
from lab.data.pixels import is_on_paper
from lab.errors import InputError
from lab.sketch.photo import find_digits
from lab.sketch.photo_reading import Reader, read_photo
from lab.sketch.reading import Answer, NetworkLike, learn_network_rule, read_image
from lab.sketch.unsure import UnsureRule, Verdict

INVERTED = (
    "it looks inverted: dark ink on light, but the network expects light ink on black; add --sketch, or invert it"
)


def predict_images(
    loaded: NetworkLike,
    pictures: Iterable[tuple[str, bytes | InputError]],
    *,
    dataset: Dataset,
    sketch: bool = False,
) -> list[dict[str, Any]]:
    """Return one JSON-safe record for each picture, in order.

    pictures: (name, content of the file, or the error that occurred while reading it). sketch: the pictures are photos
    of any size and polarity, in which digits are searched for; otherwise they must have the data set's size.

    A record has `image`, `label` (the digits from left to right; None if there are none), `probabilities` in class
    order (for a single digit, else []), `unsure` and `reasons`. With `sketch` it also has `digits`: the same fields for
    each digit, and its `box` (top, left, bottom, right). A picture without digits has a `reason`, an unreadable one an
    `error`. If there is only one picture, its `InputError` is raised instead.
    """
    rule = learn_network_rule(loaded, dataset)
    given = list(pictures)
    records = []
    for name, data in given:
        try:
            if isinstance(data, InputError):
                raise data
            records.append(_record(loaded, name, data, dataset, rule, sketch))
        except InputError as error:
            if len(given) == 1:
                raise
            records.append({**_nothing(name), "error": str(error)})
    return records


def _record(
    loaded: NetworkLike, name: str, data: bytes, dataset: Dataset, rule: UnsureRule, as_sketch: bool
) -> dict[str, Any]:
    if as_sketch:
        return _read_photo(loaded, name, data, dataset, rule)
    spec = dataset.spec
    image = read_channels(data, channels=spec.channels, name=name)
    if image.shape[-2:] != spec.image_shape[1:]:
        scaled = "add --sketch to have it cut out and scaled like a drawing" if spec.recipe else "scale it first"
        raise InputError(
            f"{name} has {image.shape[-1]}×{image.shape[-2]} pixels, but the network expects "
            f"{spec.image_size}×{spec.image_size}: {scaled}."
        )
    answer = read_image(loaded, image, rule=rule)
    if spec.channels == 1 and is_on_paper(image) and not is_on_paper(np.median(dataset.test_images[:200], axis=0)):
        verdict = Verdict(True, (INVERTED, *answer.verdict.reasons))
        answer = Answer(answer.probabilities, answer.class_names, verdict)
    return {"image": name, **_fields(answer)}


def _read_photo(loaded: NetworkLike, name: str, data: bytes, dataset: Dataset, rule: UnsureRule) -> dict[str, Any]:
    recipe = dataset.spec.require_recipe()
    photo = find_digits(read_colours(data, name=name), name=name, split=dataset.spec.has_digits)
    read = read_photo(photo, [Reader(loaded, recipe, rule)], split=dataset.spec.has_digits)
    answers = [digit.answers[0] for digit in read]
    digits = [{**_fields(digit.answers[0]), "box": list(digit.box)} for digit in read]
    if not answers:
        return {**_nothing(name), "digits": [], "reason": photo.reason}
    if len(answers) == 1:
        return {"image": name, **_fields(answers[0]), "digits": digits}
    return {
        "image": name,
        "label": "".join(answer.label for answer in answers),
        "probabilities": [],
        "unsure": any(answer.verdict.unsure for answer in answers),
        "reasons": list(dict.fromkeys(reason for answer in answers for reason in answer.verdict.reasons)),
        "digits": digits,
    }


def _fields(answer: Answer) -> dict[str, Any]:
    return {
        "label": answer.label,
        "probabilities": [float(p) for p in answer.probabilities],
        "unsure": answer.verdict.unsure,
        "reasons": list(answer.verdict.reasons),
    }


def _nothing(name: str) -> dict[str, Any]:
    return {"image": name, "label": None, "probabilities": [], "unsure": True, "reasons": []}
