"""Prefill and decode of one text beside llama.cpp's: the model of 134 million parameters (110 million that a token is multiplied with), first weights, no tokenizer,
no sampling. A program's figure in a round is the median of its repetitions but the first."""
import json
import pathlib
import statistics
import tempfile

from common import BIN, ROOT, figure, heading, in_turn, output_of, peer, ratios_of, say, spread
from models import CASES

PACKAGES = ("llama-cpp-python", "gguf")
CASE, PROMPT, TOKENS, REPETITIONS = "dense_134m", 256, 128, 4


def compile_artifact(options, precision, path):
    case = CASES[CASE]
    sets = [word for setting in (*case.settings, f"train.precision={precision}") for word in ("--set", setting)]
    output_of([options.weft, "compile", ROOT / "docs/benchmarks" / case.recipe, "-o", path, *sets])


def rates(result):
    """Tokens a second of a result's two parts."""
    middle = lambda key: statistics.median(result[key][1:])
    return {"prefill": PROMPT / middle("prefill"), "decode": TOKENS / middle("decode"), "load": result["load"], "peak_bytes": result["peak_bytes"]}


def section(options, precision, folder):
    artifact, weights = f"{folder}/{precision}.weft", f"{folder}/{precision}.gguf"
    compile_artifact(options, precision, artifact)
    counts = [str(n) for n in (PROMPT, TOKENS, REPETITIONS, options.threads)]
    results, left_out = in_turn(f"generate {precision}", options.rounds, {
        "Weft": lambda: rates(json.loads(output_of([BIN / "generate_bench", artifact, *counts]))),
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
    return lines + [""], measured


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
