"""Writes goldens/rendered.json: what transformers' jinja2 makes of the templates of templates.py, or that it raises.

usage: make_goldens.py            needs transformers and jinja2; run when templates.py changes"""
import datetime
import json
import pathlib
import random
import re

from transformers.utils import chat_template_utils

import templates

NOW = 1764158645  # seconds since 1970, UTC


class Clock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.utcfromtimestamp(NOW)


chat_template_utils.datetime = Clock


def render(template, variables):
    """{"text": …} or {"error": …}, as the engine that transformers sets up says."""
    try:
        return {"text": chat_template_utils._compile_jinja_template(template).render(**variables)}
    except Exception as error:  # of jinja2, or of Python within the template
        return {"error": f"{type(error).__name__}: {error}"}


TOOLS = [
    {"type": "function", "function": {"name": "weather", "description": "The weather in a place.", "parameters": {
        "type": "object", "properties": {"place": {"type": "string", "description": "Città \"x\""}, "unit": {"type": "string", "enum": ["C", "F"]},
                                         "days": {"type": ["integer", "null"]}, "list": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "number"}}}}},
        "required": ["place"]}, "return": {"type": "string"}}},
    {"type": "function", "function": {"name": "clock", "description": "", "parameters": {"type": "object", "properties": {}}}},
]
WORDS = ["hello", "  spaces  ", "", "\n\nlines\n", "<think>\nhm\n</think>\n\nyes", "<result>x</result>", "naïve 😀 日本", "it's \"quoted\" \\n", "<|end|>", "{{ x }}", "a\r\nb", "1", "</think>"]


def conversation(r):
    """Messages and what goes with them, of every shape that templates ask about."""
    messages = []
    if r.random() < 0.5:
        messages.append({"role": "system", "content": r.choice(WORDS)})
    for turn in range(r.randrange(5)):
        messages.append({"role": "user", "content": r.choice(WORDS) + r.choice(WORDS)})
        kind = r.randrange(6)
        if kind == 0:
            calls = [{"type": "function", "id": "abcdefgh%d" % i, "function": {"name": r.choice(["weather", "clock"]), "arguments": {"place": r.choice(WORDS), "n": r.choice([1, 2.5, None, True])}}} for i in range(r.randrange(1, 3))]
            messages.append({"role": "assistant", "content": r.choice(["", "let me see"]), "tool_calls": calls})
            messages += [{"role": "tool", "name": "weather", "content": r.choice(["sunny", {"t": 21.5}, ["a", 1], "<x>"])} for _ in calls]
            messages.append({"role": "assistant", "content": r.choice(WORDS)})
        elif kind == 1:
            messages[-1]["content"] = [{"type": "text", "text": r.choice(WORDS)}, {"type": "image"}]
            messages.append({"role": "assistant", "content": r.choice(WORDS)})
        elif kind == 2:
            messages.append({"role": "assistant", "content": r.choice(WORDS), "reasoning_content": r.choice(WORDS), "thinking": ""})
        elif kind == 3 and turn > 1:
            messages.append({"role": r.choice(["system", "critic", "user"]), "content": r.choice(WORDS)})
        elif kind != 4 or r.random() < 0.5:
            messages.append({"role": "assistant", "content": r.choice(WORDS)})
    variables = {"messages": messages, "bos_token": "<s>", "eos_token": "</s>", "add_generation_prompt": r.random() < 0.5}
    if r.random() < 0.4:
        variables["tools"] = r.choice([None, [], TOOLS, TOOLS[:1]])
    for name, values in {"enable_thinking": [False, True], "date_string": ["1 Jan 1999"], "tools_in_user_message": [False], "builtin_tools": [["weather", "code"]], "reasoning_effort": ["high"]}.items():
        if r.random() < 0.2:
            variables[name] = r.choice(values)
    return variables


def used(template, values):
    """Those of the values whose names are in the template, to keep the file short."""
    return {name: value for name, value in values.items() if re.search(rf"\b{name}\b", template)}


def main():
    r = random.Random(1)
    values = dict(templates.VALUES, messages=[{"role": "user", "content": "x"}])
    jobs = [(template, used(template, values)) for template in templates.SNIPPETS + templates.BLOCKS]
    jobs += [(template, conversation(r)) for template in templates.FAMILIES.values() for _ in range(6)]
    cases = [{"template": template, "variables": variables, **render(template, variables)} for template, variables in jobs]
    for case in cases:
        if "error" in case:
            case["error"] = case["error"][:100]
    path = pathlib.Path(__file__).parent / "goldens/rendered.json"
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    path.write_text(f'{{"now": {NOW}, "cases": [\n{lines}\n]}}\n')
    print(f"{len(cases)} cases, {sum('error' in case for case in cases)} of which raise; {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
