"""The network that reads drawings on Home: an ONNX file, run for its logits and feature maps without importing torch.

The drawing is normalised by the same steps as on Draw (`lab.sketch.normalise`) and judged by the same rule
(`lab.sketch.unsure`), except for the similarity to training images, which needs the features of thousands of them.
"""

import json
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from lab.data.channels import normalise_images
from lab.data.recipes import Recipe
from lab.data.registry import get_dataset_spec
from lab.examples.catalogue import READER_FILE
from lab.onnx_runtime import load_onnxruntime
from lab.sketch.normalise import normalise
from lab.sketch.shape import Shape
from lab.sketch.sketch import Sketch
from lab.sketch.unsure import UnsureRule, Verdict, assess_answer

# Metadata keys: name, title and shape of each output with feature maps, and the rule for unsure answers.
MAPS, RULE = "convlab_maps", "convlab_unsure"


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """The network's result for a drawing.

    image: its input, uint8 (H, W). maps: float32 (C, H, W) of each layer, from input to output. probabilities:
    float64 (K,).
    """

    image: np.ndarray
    maps: tuple[np.ndarray, ...]
    probabilities: np.ndarray
    class_names: tuple[str, ...]
    verdict: Verdict

    @property
    def label(self) -> str:
        """The name of the most probable class."""
        return self.class_names[int(self.probabilities.argmax())]


class DrawingReader:
    """A loaded ONNX file that reads drawings; can be shared by all threads.

    layers: title and (C, H, W) of each layer whose maps are shown, from input to output. recipe: how drawings are
    normalised. class_names: names of the classes, in the order of the probabilities.
    """

    def __init__(self) -> None:
        onnxruntime = load_onnxruntime()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1  # an image takes less than starting a thread
        self._session = onnxruntime.InferenceSession(
            READER_FILE.read_bytes(), sess_options=options, providers=["CPUExecutionProvider"]
        )
        facts = self._session.get_modelmeta().custom_metadata_map
        self._mean, self._std = json.loads(facts["mean"]), json.loads(facts["std"])
        self.class_names: tuple[str, ...] = tuple(json.loads(facts["classes"]))
        self.recipe: Recipe = get_dataset_spec(facts["dataset"]).require_recipe()
        self.layers: tuple[tuple[str, tuple[int, int, int]], ...] = tuple(
            (title, (shape[0], shape[1], shape[2])) for _, title, shape in json.loads(facts[MAPS])
        )
        self._outputs = ["logits", *(name for name, _, _ in json.loads(facts[MAPS]))]
        self._rule = _rule(json.loads(facts[RULE]))

    def read(self, sketch: Sketch) -> Reading:
        """Normalise a drawing and return the network's result."""
        image = normalise(sketch, recipe=self.recipe)
        logits_K, maps = self._run(image)
        shares = np.exp(logits_K - logits_K.max())
        probabilities = shares / shares.sum()
        verdict = assess_answer(probabilities, rule=self._rule, sketch=sketch, image=image)
        return Reading(image, maps, probabilities, self.class_names, verdict)

    def _run(self, image: np.ndarray) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
        x_BCHW = normalise_images(image[None], mean=self._mean, std=self._std)
        logits_BK, *maps = self._session.run(self._outputs, {"images": x_BCHW})
        return logits_BK[0].astype(np.float64), tuple(each[0] for each in maps)


def _rule(facts: dict[str, Any]) -> UnsureRule:
    """Return the rule stored in the file's metadata."""
    shape = Shape(**facts.pop("shape"))
    return replace(UnsureRule(**facts), ink=tuple(facts["ink"]), shape=shape)


@cache
def drawing_reader() -> DrawingReader:
    """Return the reader of this process, loaded once."""
    return DrawingReader()
