"""A run's name, tags and note, shown below its title and edited in the run's menu."""

from functools import partial

import streamlit as st

from lab.runs.edits import NAME_LIMIT, NOTE_LIMIT
from lab.runs.records import RunRecord
from lab.service.sweep_trials import sweeps_of
from pages.cache.lab import get_lab
from pages.markdown import plain
from pages.registry import has_page, page_path
from pages.state.train import TRAIN
from pages.widgets.frame import show_errors
from pages.widgets.menu import fold
from pages.widgets.runs import is_named, run_title

_SUGGESTED = 500  # runs whose tags are offered


def edit_labels(run: RunRecord) -> None:
    """Draw the part of the run's menu that edits them; each field is stored when it loses focus."""
    with fold("Name and notes", icon=":material/edit:", menu=True):
        name = TRAIN.widget(
            "name", item=run.id, value=run.name if is_named(run) else "", then=partial(_store, run.id, "name")
        )
        st.text_input("Name", max_chars=NAME_LIMIT, placeholder=run_title(run), **name)
        known = {tag for other in get_lab().store.runs.list(limit=_SUGGESTED) for tag in other.tags} | set(run.tags)
        tags = TRAIN.widget("tags", item=run.id, value=run.tags, then=partial(_store, run.id, "tags"))
        st.multiselect("Tags", sorted(known), accept_new_options=True, placeholder="Choose or type a tag", **tags)
        note = TRAIN.widget("note", item=run.id, value=run.note, then=partial(_store, run.id, "note"))
        st.text_area("Note", max_chars=NOTE_LIMIT, placeholder="What you tried, and how it turned out", **note)


def show_labels(run: RunRecord) -> None:
    """Draw the link to the run's sweep, its tags and its note, as far as it has them."""
    if has_page("sweeps"):
        for sweep in sweeps_of(run):
            st.page_link(
                page_path("sweeps"), label="Trial of a sweep", icon=":material/grain:", query_params={"sweep": sweep}
            )
    if run.tags:
        with st.container(horizontal=True, gap="small"):
            for tag in run.tags:
                st.badge(plain(tag), icon=":material/sell:", color="gray")
    if run.note:
        st.text(run.note)


def _store(run: str, field: str) -> None:
    edits, entered = get_lab().store.edits, TRAIN.read()
    with show_errors():
        if field == "name":
            edits.rename(run, entered.name[run])
        elif field == "tags":
            edits.set_tags(run, entered.tags[run])
        else:
            edits.set_note(run, entered.note[run])
