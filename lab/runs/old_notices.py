"""Findings that earlier releases wrote into a run's notices, where they remained after their numbers became untrue.

They are no longer shown: findings now have a column of their own, computed from the stored points
(`lab.stored_findings`). The stored notices are not changed, because the digest of the run covers them.
"""

import re

_NUMBER = r"[-+]?(?:\d[\d.,]*(?:e[-+]?\d+)?|nan|inf)"
_SENTENCES = (
    r"NLL is given raw logits: the loss has no lower bound and will run away below zero\.",
    r"NLL is given probabilities instead of their logarithms: the loss stays between -1 and 0",
    r"Cross-entropy applies softmax itself, so softmax is applied twice:",
    r"The images come in the same order every epoch, so neighbouring steps repeat;",
    rf"A learning rate of {_NUMBER} is very (?:small|large) for \w+: ",
    rf"The loss is {_NUMBER} from recorded step \d+ on: the weights are lost\.",
    rf"The loss is {_NUMBER} and falling without limit: NLL on raw logits",
    rf"After {_NUMBER} steps the loss is {_NUMBER}, what guessing among \d+ classes gives",
    rf"The validation loss rose from {_NUMBER} to {_NUMBER} while the training loss kept falling:",
)
_OLD = re.compile("|".join(_SENTENCES))


def is_old_finding(notice: str) -> bool:
    """Return whether a notice is a finding, written by a release that stored findings as notices."""
    return _OLD.match(notice) is not None
