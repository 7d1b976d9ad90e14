"""Names say what stands under them, in six languages."""

from __future__ import annotations

import pytest
from any_text import thorough
from hypothesis import given
from hypothesis import strategies as st

from deepcoder_hf.spans.evidence import ROLES
from deepcoder_hf.spans.roles import SURE, Role, roles_of

NAMES: dict[Role, str] = {
    "reasoning": "Thought|Gedanke|Überlegung|pensamiento|razonamiento|pensée|思考|想法|推理|考え|thinking_process",
    "action": "Action|Aktion|Befehl|acción|herramienta|commande|行动|动作|工具调用|行動|アクション|ToolCall",
    "observation": "Observation|Beobachtung|Ausgabe|observación|resultado|sortie|观察|结果|观察结果|観察|出力",
    "user": "User|Human|Benutzer|Nutzerin|usuario|utilisateur|用户|ユーザー|お客様",
    "assistant": "Assistant|Agent|Assistent|asistente|助手|智能体|アシスタント|エージェント",
    "answer": "Answer|Schlussantwort|respuesta|réponse|答案|最终答案|最終回答|Final Answer",
    "system": "System|developer|système|sistema|系统|システム",
}


@pytest.mark.parametrize(("role", "name"), [(role, name) for role, names in NAMES.items() for name in names.split("|")])
def test_a_word_of_six_languages_speaks_for_its_role_most(role: Role, name: str) -> None:
    assert next(iter(roles_of(name))) == role


@pytest.mark.parametrize(
    "name", ["tool output", "tool_output", "ToolOutput", "TOOL OUTPUT", "Tool Result 3", "ツール出力"]
)
def test_what_a_tool_puts_out_is_a_result(name: str) -> None:
    found = roles_of(name)
    assert found["observation"] == SURE
    assert found.get("action", 0.0) < 1


@pytest.mark.parametrize("name", ["action input", "Action Input 2", "ActionInput", "tool call", "agent action"])
def test_what_goes_into_an_action_is_a_call(name: str) -> None:
    assert set(roles_of(name)) == {"action"}


def test_of_an_agents_thought_the_thought_remains() -> None:
    assert set(roles_of("agent thought")) == {"reasoning"}


@pytest.mark.parametrize("name", ["", "xyzzy", "the", "12", "price", "zorp blick"])
def test_other_names_say_nothing(name: str) -> None:
    assert roles_of(name) == {}


@pytest.mark.parametrize(("name", "role"), [("assistant to=self", "reasoning"), ("assistant to=user", "answer"),
                                            ("assistant to=tool", "action")])  # fmt: skip
def test_whom_the_agent_speaks_to_says_what_it_does(name: str, role: Role) -> None:
    assert set(roles_of(name)) == {role}


@thorough
@given(st.text(max_size=30))
def test_any_name_gives_known_roles_the_strongest_first(name: str) -> None:
    found = roles_of(name)
    assert set(found) <= set(ROLES)
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert all(0 < weight <= SURE for weight in found.values())
