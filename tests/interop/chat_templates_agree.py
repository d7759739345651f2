"""Compares chat templates as Weft renders them with what transformers renders, live.

Random conversations through the families of tests/runtime/text/templates.py, a template of every file named, and
random expressions. What Weft refuses because it does not read it counts apart; a text that differs, or an error on one
side alone, fails.

usage: chat_templates_agree.py [--renderer build/tests/render_chat_templates] [--count N] [--seed S] [TEMPLATE…]"""
import argparse
import collections
import copy
import json
import pathlib
import random
import subprocess
import sys
import warnings

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "runtime/text"))
import make_goldens
import templates

# What Weft says of templates that it does not read, or of values that jinja2 leaves alone: a filter that is evaluated when its elements
# are asked for, which they never are, raises nothing there; nor does a slice of a constant that has none.
NOT_READ = ["has no elements to go through", "items takes a dict", "cannot be sliced", "is not read", "are not read", "beyond 64 bits", "cannot be printed", "has no length", "gone through twice", "does not take what another filter", "steps",
            "bytes is made", "depends on where", "nests deeper", "cannot be a key", "takes a precision", "precision of", "underscore", "at most", "chained"]
ATOMS = ["text", "word", "empty", "zero", "seven", "minus", "half", "yes", "no", "nothing", "quoted", "list", "words", "nested", "dict", "people", "lines", "missing", "emoji",
         "0", "1", "-1", "2.5", "'a'", "''", "'l'", "' '", "none", "true", "[1, 'a']", "{'a': 1}", "(1, 2)", "[]", "ns.x", "loop.index", "messages", "messages[0]", "people[0].name"]
FILTERS = ["trim", "upper", "lower", "title", "capitalize", "length", "list", "first", "last", "join(', ')", "tojson", "tojson(indent=2)", "string", "int", "float", "default('d')",
           "default('d', true)", "reverse", "sort", "unique", "map('upper')", "map(attribute='name')", "select", "reject", "selectattr('age')", "items", "abs", "round", "sum", "min", "max",
           "replace('a', 'b')", "indent(2)", "dictsort", "select('string')", "reject('none')", "count", "trim('a')", "map('string')", "safe"]
TESTS = ["defined", "none", "string", "mapping", "iterable", "sequence", "number", "boolean", "true", "false", "integer", "float", "odd", "even", "in list", "equalto 1", "upper", "lower", "undefined"]
METHODS = ["strip()", "lstrip('a')", "rstrip()", "split()", "split('l')", "split(' ', 1)", "startswith('h')", "endswith('o')", "replace('l', 'x')", "upper()", "title()", "get('a')", "items()", "keys()", "values()",
           "name", "x", "splitlines()", "rsplit(none, 1)", "find('l')", "count('a')", "index('a')", "partition(' ')", "isdigit()", "capitalize()"]
OPERATORS = ["+", "-", "*", "/", "//", "%", "~", "==", "!=", "<", ">", "<=", ">=", "and", "or", "in", "not in"]


def expression(r, depth):
    if depth == 0 or r.random() < 0.15:
        return r.choice(ATOMS)
    kind, inner = r.randrange(10), lambda: expression(r, depth - 1)
    if kind < 2:
        return f"({inner()} {r.choice(OPERATORS)} {inner()})"
    if kind < 5:
        return f"{inner()} | {r.choice(FILTERS)}"
    if kind == 5:
        return f"({inner()} is {r.choice(['', 'not '])}{r.choice(TESTS)})"
    if kind == 6:
        return f"({inner()}).{r.choice(METHODS)}"
    if kind == 7:
        return f"({inner()})[{r.choice([inner(), '::-1', '1:', ':-1', '::2', '0', '-1'])}]"
    if kind == 8:
        return f"({inner()} if {inner()} else {inner()})"
    return r.choice([f"not {inner()}", f"-({inner()})", f"[{inner()}, {inner()}]", f"{{'k': {inner()}}}", f"{inner()} ~ {inner()}"])


def program(r, depth=2):
    """Statements around expressions, with the spaces and signs that trim them."""
    def tag(text):
        return r.choice(["", "  ", "\n", "\n  "]) + "{%" + r.choice(["", "-", "+"]) + f" {text} " + r.choice(["", "-", "+"]) + "%}" + r.choice(["", " ", "\n", "\n\n "])
    parts = ["{% set ns = namespace(x=1) %}"] if depth == 2 else []
    for _ in range(r.randrange(1, 4)):
        kind = r.randrange(7) if depth else 0
        e = expression(r, 2)
        if kind <= 1:
            parts.append(r.choice(["{{", "{{-", " {{"]) + f" {e} " + r.choice(["}}", "-}}", "}}\n"]))
        elif kind == 2:
            parts += [tag(f"if {e}"), program(r, depth - 1), tag(r.choice(["else", f"elif {expression(r, 1)}"])), program(r, depth - 1), tag("endif")]
        elif kind == 3:
            parts += [tag(f"for {r.choice(['x', 'word', 'k, v'])} in {e}{r.choice(['', '', ' if loop is defined or 1'])}"), program(r, depth - 1), tag(f"if {expression(r, 1)}"), tag(r.choice(["break", "continue"])), tag("endif"), tag("endfor")]
        elif kind == 4:
            parts.append(tag(f"set {r.choice(['ns.x', 'word', 'seven', 'x'])} = {e}"))
        elif kind == 5:
            parts += [tag("set word"), program(r, depth - 1), tag("endset")]
        else:
            parts.append("{#" + r.choice(["", "-"]) + " note " + r.choice(["", "-"]) + "#}" + r.choice(["\n", " "]))
    return "".join(parts)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("files", nargs="*", metavar="TEMPLATE", help="a chat_template.jinja, or a tokenizer_config.json")
    parser.add_argument("--renderer", default="build/tests/render_chat_templates")
    parser.add_argument("--count", type=int, default=300, help="conversations a template")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    warnings.simplefilter("ignore", SyntaxWarning)
    r = random.Random(args.seed)
    sources = dict(templates.FAMILIES)
    for file in args.files:
        text = pathlib.Path(file).read_text()
        if file.endswith(".json"):
            text = json.loads(text)["chat_template"]
        for i, source in enumerate([text] if isinstance(text, str) else [named["template"] for named in text]):
            sources[f"{file} {i}"] = source
    jobs = [(name, source, make_goldens.conversation(r)) for name, source in sources.items() for _ in range(args.count)]
    values = dict(templates.VALUES, messages=[{"role": "user", "content": "x"}])
    jobs += [("expressions", "{{ " + expression(r, 3) + " }}", values) for _ in range(20 * args.count)]
    jobs += [("programs", program(r), values) for _ in range(10 * args.count)]

    lines = [json.dumps({"template": source, "variables": variables, "now": make_goldens.NOW}) for _, source, variables in jobs]
    answers = subprocess.run([args.renderer], input="\n".join(lines).encode() + b"\n", check=True, stdout=subprocess.PIPE).stdout.decode().split("\n")[:-1]
    if len(answers) != len(jobs):
        sys.exit(f"error: {len(jobs)} templates got {len(answers)} answers")
    same, raised, refused, wrong = (collections.Counter() for _ in range(4))
    for (name, source, variables), answer in zip(jobs, answers):
        ours, theirs = json.loads(answer), make_goldens.render(source, copy.deepcopy(variables))  # jinja2's indent changes a list
        if "text" in ours and ours == theirs:
            same[name] += 1
        elif "error" in ours and "error" in theirs:
            raised[name] += 1
        elif "error" in ours and "<generator object" in theirs["text"]:  # printed, and never gone through
            refused[name] += 1
        elif "error" in ours and any(reason in ours["error"] for reason in NOT_READ):
            refused[name] += 1
        else:
            wrong[name] += 1
            if sum(wrong.values()) <= 20:
                print(f"{name}: {source[:400]!r}\n  weft:         {ours}\n  transformers: {theirs}")
    for name in dict.fromkeys(name for name, _, _ in jobs):
        print(f"{name}: {same[name]} texts are the same, {raised[name]} raise on both sides, {refused[name]} are not read, {wrong[name]} differ")
    if wrong:
        sys.exit("error: chat templates differ from transformers'")


if __name__ == "__main__":
    main()
