"""The example and the code on the pages run offline, and do what they promise."""

import runpy
from pathlib import Path
from typing import TypedDict

from answer_caches import PATIENT
from langchain_core.globals import set_llm_cache
from langchain_model import Model
from langgraph.graph import START, StateGraph
from page_examples import run_examples

EXAMPLE = Path(__file__).parents[3] / "examples" / "langchain_app.py"
PAGES = Path(__file__).parents[3] / "docs" / "integrations"


def test_the_example(capsys):
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    sources = [line.partition("|")[0].split()[0] for line in lines if "|" in line]
    assert sources == ["model", "similar", *["model"] * 4, "node", "cached", "node"]
    assert lines[-1].startswith("7 calls of the model and the node")


def test_the_code_on_the_page_of_langchain(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model, agents_model = Model(), Model()
    replaced = {**PATIENT, '"openai:gpt-5"': "agents_model"}
    stand_ins = {"model": model, "agents_model": agents_model}
    try:
        assert run_examples(PAGES / "langchain.md", replaced, stand_ins=stand_ins) > 1
    finally:
        set_llm_cache(None)
    assert model.calls == 1
    assert agents_model.calls == 1


class State(TypedDict):
    city: str
    sky: str


def test_the_code_on_the_page_of_langgraph(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked = []

    def weather(state):
        asked.append(state["city"])
        return {"sky": "clear"}

    builder = StateGraph(State)
    builder.add_edge(START, "weather")
    stand_ins = {"builder": builder, "weather": weather}
    assert run_examples(PAGES / "langgraph.md", PATIENT, stand_ins=stand_ins) == 1
    assert asked == ["Paris"]
