#!/usr/bin/env python3
"""Reads a run's tensorboard/ with TensorBoard's own reader and compares with metrics.jsonl: the same steps, each once, and the
same values, whatever was resumed in between.

usage: tensorboard_agrees.py RUN [--files N]"""
import argparse
import json
import pathlib
import struct
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

TAGS = {"eval_loss": "validation/loss", "eval_targets": "validation/targets"}
OF_EXPERTS = ["train/expert_load_max", "train/routing_entropy", "train/dropped"]


def f32(value):
    return struct.unpack("f", struct.pack("f", value))[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run")
    parser.add_argument("--files", type=int, default=1, help="how many event files there should be")
    args = parser.parse_args()
    folder = pathlib.Path(args.run) / "tensorboard"
    files = sorted(folder.iterdir())
    if len(files) != args.files:
        sys.exit(f"error: {folder} has {len(files)} files when it should have {args.files}: {[f.name for f in files]}")
    theirs = EventAccumulator(str(folder), size_guidance={"scalars": 0})  # 0 = keep every value
    theirs.Reload()

    ours = {}
    for line in map(json.loads, (pathlib.Path(args.run) / "metrics.jsonl").read_text().splitlines()):
        step = line.pop("step")
        for key, value in line.items():
            if value is not None and not isinstance(value, list):  # lists, of experts, are no scalars
                ours.setdefault(TAGS.get(key, "train/" + key), []).append((step, value))
    if sorted(theirs.Tags()["scalars"]) != sorted(ours):
        sys.exit(f"error: TensorBoard has the tags {sorted(theirs.Tags()['scalars'])} when metrics.jsonl has {sorted(ours)}")
    for tag, values in sorted(ours.items()):
        events = theirs.Scalars(tag)
        if [e.step for e in events] != [step for step, _ in values]:
            sys.exit(f"error: {tag}: TensorBoard has the steps {[e.step for e in events]} when metrics.jsonl has {[s for s, _ in values]}")
        # metrics.jsonl rounds times to a thousandth, rates to a tenth, and what it says of experts to four digits
        slack = {"train/step_ms": 5e-4, "train/tokens_per_second": 0.05}.get(tag, 0)
        for event, (step, value) in zip(events, values):
            if not abs(event.value - f32(value)) <= slack + (5e-4 if tag in OF_EXPERTS else 1e-7) * abs(value):
                sys.exit(f"error: {tag} of step {step}: TensorBoard has {event.value} when metrics.jsonl has {value}")
        print(f"{tag}: {len(values)} values")


if __name__ == "__main__":
    main()
