#!/usr/bin/env python3
"""What ./run bench does with figures, without measuring: python3 bench_test.py"""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

import common
import goals
import steps

HERE = pathlib.Path(__file__).resolve().parent


def rounds(*rates, peak=1e9):
    return [{"rate": rate, "peak_bytes": peak} for rate in rates]


class InTurn(unittest.TestCase):
    def test_each_program_runs_once_a_round_and_one_that_fails_is_left_out(self):
        order = []

        def fails():
            order.append("b")
            raise RuntimeError("no such module")

        results, left_out = common.in_turn("x", 2, {"a": lambda: order.append("a") or 1, "b": fails, "c": lambda: order.append("c") or 3})
        self.assertEqual(order, ["a", "b", "c", "a", "c"])
        self.assertEqual((results, left_out), ({"a": [1, 1], "c": [3, 3]}, {"b": "no such module"}))

    def test_wefts_own_failure_is_an_error(self):
        with self.assertRaises(RuntimeError):
            common.in_turn("x", 1, {"Weft": lambda: common.output_of(["false"]), "b": lambda: 1})


class Figures(unittest.TestCase):
    def test_the_best_peer_is_the_one_of_the_highest_median_at_any_precision_that_the_goal_names(self):
        results = {("moe", "f32"): {"Weft": rounds(300, 300), "PyTorch eager": rounds(200, 200)},
                   ("moe", "bf16"): {"Weft": rounds(400, 800, 600), "PyTorch eager": rounds(100, 100, 100, peak=4e9), "JAX": rounds(900, 900, 900)}}
        found = {figure.goal: figure for figure in steps.figures(results)}
        self.assertEqual(found["moe f32"].value, 1.5)
        self.assertEqual((found["moe bf16"].least, found["moe bf16"].most), (2, 4))  # against f32's 200, round by round
        self.assertNotIn("memory", found)  # not all of the goals' cases were measured

    def test_memory_is_that_of_the_case_where_weft_needs_most_beside_the_most_frugal_peer(self):
        results = {key: {"Weft": rounds(1), "PyTorch eager": rounds(1, peak=2e9), "PyTorch compile": rounds(1, peak=4e9), "JAX": rounds(1, peak=1e8)}
                   for key in ((name, p) for name in ("dense", "moe", "dense_long", "dense_134m") for p in ("f32", "bf16"))}
        results["dense_long", "bf16"]["Weft"] = rounds(1, peak=1.5e9)
        found = {figure.goal: figure for figure in steps.figures(results)}
        self.assertEqual((found["memory"].value, found["memory"].least), (0.75, 0.5))

    def test_a_goal_whose_peers_were_not_all_measured_has_no_figure(self):
        self.assertEqual(steps.figures({("moe", "bf16"): {"Weft": rounds(1), "PyTorch eager": rounds(1)}}), [])
        self.assertEqual(steps.figures({("dense", "f32"): {"Weft": rounds(1), "JAX": rounds(1)}}), [])

    def test_keeps_what_was_measured_before_and_says_what_was_not(self):
        with tempfile.TemporaryDirectory() as folder:
            page, figures = pathlib.Path(folder) / "README.md", pathlib.Path(folder) / "figures.json"
            page.write_text(f"before\n{goals.BEGIN}\nstale\n{goals.END}\nafter\n")
            with mock.patch.multiple(goals, FIGURES=figures, PAGE=page, commit=lambda: "abc"):
                goals.keep([common.Figure("decode", 1.6, 1.4, 1.7)], 3)
                goals.keep([common.Figure("memory", 0.6, 0.5, 0.6)], 2)
            text = page.read_text()
            self.assertEqual(sorted(json.loads(figures.read_text())), ["decode", "memory"])
            self.assertTrue(text.startswith("before\n") and text.endswith("after\n") and "stale" not in text)
            self.assertIn("| 1.5 | 1.60 (1.40 to 1.70) | yes |", text)
            self.assertIn("| at most 0.5 | 0.60 (0.50 to 0.60) | no |", text)
            self.assertIn("not measured", text)


class Usage(unittest.TestCase):
    def test_mistakes_are_named(self):
        for words, said in ((["stepz"], "unknown table stepz; there are steps, generate"), (["--cases", "mo"], "unknown case mo; there are dense"),
                            (["--cases", ","], "names no case"), (["--rounds", "0"], "is 0 when it should be a number of 1 or more"), (["--steps", "x"], "is x when")):
            done = subprocess.run([sys.executable, HERE / "bench.py", *words], capture_output=True, text=True)
            self.assertEqual(done.returncode, 2)
            self.assertIn(said, done.stderr)


unittest.main()
