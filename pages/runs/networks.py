"""The networks of two runs on the same test images: McNemar's test. Imports torch, so it is loaded on demand."""

import streamlit as st

from lab.comparison.verdict import Answer, compare_answers
from lab.comparison.words import MCNEMAR_NOTE, verdict_text
from lab.runs.records import RunRecord
from pages.cache.inspection import answers_of
from pages.cache.lab import get_lab
from pages.markdown import plain
from pages.state.keys import element
from pages.widgets.waiting import worth_waiting


def compare_networks(a: RunRecord, b: RunRecord, *, names: tuple[str, str]) -> None:
    """Draw the verdict on the selected weights of two runs on one data set, and how many images only one reads."""
    found = []
    for run in (a, b):
        digest = get_lab().holding(run.id).weights.find(run.id).sha256
        images = run.environment.test_images or 0
        if not worth_waiting(
            run, passes=images, what="Classifying the test set", key=element("verdict-networks", digest)
        ):
            return
        with st.spinner("Classifying the test set"):
            found.append(answers_of(run.id, digest, run.config.dataset).right)
    right_a, right_b = found
    verdict = compare_answers(right_a, right_b)
    show = st.success if verdict.verdict is Answer.YES else st.info
    text = verdict_text(verdict, a=f"network A ({names[0]})", b=f"network B ({names[1]})")
    show(plain(text), icon=":material/grid_on:")
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    counts = f"Of {right_a.size:,} test images, only A reads {only_a:,} correctly, and only B {only_b:,}."
    st.caption(plain(f"{counts} {MCNEMAR_NOTE}"))
