"""Prefill and decode of one text beside llama.cpp's, and of 16 texts at once beside one: the model of 134 million parameters (110 million that a token is multiplied
with), first weights, no tokenizer, no sampling. A program's figure in a round is the median of its repetitions but the first."""
import json
import pathlib
import statistics
import tempfile

from common import BIN, ROOT, figure, heading, in_turn, output_of, peer, ratios_of, say, spread
from models import CASES

PACKAGES = ("llama-cpp-python", "gguf")
CASE, PROMPT, TOKENS, REPETITIONS = "dense_134m", 256, 128, 4
BATCH, SHORT = 16, 16  # texts at once; a prompt so short that reading keys and values does not count


def compile_artifact(options, precision, path, batch=1):
    case = CASES[CASE]
    sets = [word for setting in (*case.settings, f"train.precision={precision}", f"run.generate_batch={batch}") for word in ("--set", setting)]
    output_of([options.weft, "compile", ROOT / "docs/benchmarks" / case.recipe, "-o", path, *sets])


def rates(result, prompt=PROMPT):
    """Tokens a second of a result's two parts, of all texts together."""
    texts = result.get("batch", 1)
    middle = lambda key: statistics.median(result[key][1:])
    return {"prefill": texts * prompt / middle("prefill"), "decode": texts * TOKENS / middle("decode"), "load": result["load"], "peak_bytes": result["peak_bytes"]}


def weft(artifact, prompt, threads):
    return rates(json.loads(output_of([BIN / "generate_bench", artifact, *(str(n) for n in (prompt, TOKENS, REPETITIONS, threads))])), prompt)


def batched(options, precision, folder, artifact):
    """16 texts at once beside one."""
    many = f"{folder}/{precision}-{BATCH}.weft"
    compile_artifact(options, precision, many, BATCH)
    lines = [f"### {BATCH} texts at once, {precision}", "", "| tokens before | decode of one, tokens/s | of all, tokens/s | times one |", "|---|---|---|---|"]
    measured = []
    for prompt in (SHORT, PROMPT):
        results, _ = in_turn(f"generate {precision}, {prompt} tokens before", options.rounds,
                             {"one": lambda: weft(artifact, prompt, options.threads), "all": lambda: weft(many, prompt, options.threads)})
        one, every = ([r["decode"] for r in results[of]] for of in ("one", "all"))
        times = ratios_of(every, one)
        lines.append(f"| {prompt} | {spread(one, 0)} | {spread(every, 0)} | {spread(times, 2)} |")
        say(f"generate {precision}: {BATCH} texts of {prompt} tokens before: {spread(every, 0)} tokens/s, {spread(times, 2)} times one")
        if precision == "bf16" and prompt == SHORT:
            measured.append(figure("batched decode", times))
    return lines + [""], measured


def section(options, precision, folder):
    artifact, weights = f"{folder}/{precision}.weft", f"{folder}/{precision}.gguf"
    compile_artifact(options, precision, artifact)
    counts = [str(n) for n in (PROMPT, TOKENS, REPETITIONS, options.threads)]
    results, left_out = in_turn(f"generate {precision}", options.rounds, {
        "Weft": lambda: weft(artifact, PROMPT, options.threads),
        "llama.cpp": lambda: rates(peer("llamacpp_generate.py", CASE, precision, weights, *counts))})
    pathlib.Path(weights).unlink(missing_ok=True)
    lines = [f"### {precision}", "", f"| | prefill of {PROMPT}, tokens/s | Weft against it | decode of {TOKENS}, tokens/s | Weft against it | load, s | peak resident, GB |",
             "|---|---|---|---|---|---|---|"]
    of = lambda program, key: [r[key] for r in results[program]]
    for program in results:
        cells = []
        for key in ("prefill", "decode"):
            cells += [spread(of(program, key), 0), "" if program == "Weft" else spread(ratios_of(of("Weft", key), of(program, key)), 2)]
            say(f"generate {precision}: {program} {key} {cells[-2]} tokens/s")
        lines.append(f"| {program} | {' | '.join(cells)} | {statistics.median(of(program, 'load')):.2f} | {max(of(program, 'peak_bytes')) / 1e9:.2f} |")
    lines += [f"| {program} | left out: {reason} | | | | | |" for program, reason in left_out.items()]
    measured = []
    if precision == "bf16" and "llama.cpp" in results:
        measured = [figure(key, ratios_of(of("Weft", key), of("llama.cpp", key))) for key in ("prefill", "decode")]
    more, found = batched(options, precision, folder, artifact)
    return lines + [""] + more, measured + found


def measure(options, write):
    lines = heading("Generating beside llama.cpp", options, "generate", PACKAGES,
                    f"12 layers of width 768, 32000 words; one text. Of {REPETITIONS} repetitions in each process the first does not count. Loading: Weft's weights are drawn "
                    "and derived, llama.cpp's are read from a file that was just written.")
    measured = []
    with tempfile.TemporaryDirectory() as folder:
        for precision in options.precisions:
            more, found = section(options, precision, folder)
            lines += more
            measured += found
            write(lines)
    return measured
