#!/usr/bin/env python3
"""Networks of some size: counts confirmed by brute force, and the times that the engine is for."""
import collections
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True

import help	# noqa: E402
from brute import levels	# noqa: E402
from networks import network	# noqa: E402


def solve(name, *args, size=None):
    status, answer = help.service("\n".join(network(name, size)) + "\n", *args)
    assert status == 0, answer
    return answer


def counts(answer):
    return dict(collections.Counter(config["polymers_count"] for config in answer["configs"]))


class Exhaustive(unittest.TestCase):
    """stableconfigs#37: everything there is, counted by polymers."""

    def check(self, name, size, expected):
        self.assertEqual(levels(network(name, size)), expected)
        answer = solve(name, "--gen=100000", size=size)
        self.assertEqual(counts(answer), expected)
        self.assertEqual(answer["entropy"], max(expected))
        self.assertEqual(answer["count"], sum(expected.values()))
        polymers = [config["polymers_count"] for config in answer["configs"]]
        self.assertEqual(polymers, sorted(polymers, reverse=True))
        for config in answer["configs"]:
            self.assertEqual(len(config["polymers"]), config["polymers_count"])
            self.assertEqual(sum(map(len, config["polymers"])), len(network(name, size)))

    def test_and_gate(self):
        self.check("and", None, {4: 1, 3: 17, 2: 32, 1: 14})

    def test_latch(self):
        self.check("latch", None, {5: 1, 4: 18, 3: 48, 2: 47, 1: 14})

    def test_cascade(self):
        self.check("cascade", 3, {4: 512, 3: 768, 2: 384, 1: 64})

    def test_or_gate(self):
        self.check("or", None, {6: 2, 5: 76, 4: 914, 3: 3624, 2: 5320, 1: 2352})

    def test_strands(self):
        self.check("strands", 6, {6: 720})


class Large(unittest.TestCase):
    def timed(self, seconds, *args, **kwargs):
        start = time.monotonic()
        answer = solve(*args, **kwargs)
        took = time.monotonic() - start
        print(f"{' '.join(map(str, args))} {kwargs or ''}: {took:.3f} s", file=sys.stderr)
        # a machine that is busy with other tests, or a sanitizer, may take several times as long
        self.assertLess(took, 10 * seconds)
        return answer

    def test_tree_of_63(self):
        """stableconfigs#31"""
        answer = self.timed(1, "tree", size=6)
        self.assertEqual((answer["entropy"], counts(answer)), (1, {1: 1}))

    def test_tree_of_63_without_bounds(self):
        answer = self.timed(1, "tree", "--no-bounds", size=6)
        self.assertEqual(answer["entropy"], 1)

    def test_strands(self):
        answer = self.timed(1, "strands", size=50)
        self.assertEqual((answer["entropy"], counts(answer)), (50, {50: 1}))

    def test_strands_without_bounds(self):
        """The ordering clauses alone must do it."""
        answer = self.timed(1, "strands", "--no-bounds", size=50)
        self.assertEqual(answer["entropy"], 50)

    def test_strands_constrained(self):
        """A constraint pushes the top level down, and names few of many like monomers: the others may still be ordered."""
        lines = network("strands", 12)
        lines[0] += " >one"
        lines[1] += " >two"
        with tempfile.NamedTemporaryFile("w", encoding="utf-8") as file:
            print("TOGETHER one two", file=file, flush=True)
            start = time.monotonic()
            status, answer = help.service("\n".join(lines) + "\n", file.name)
        self.assertLess(time.monotonic() - start, 20)
        self.assertEqual((status, answer["entropy"], counts(answer)), (0, 12, {11: 1}))

    def test_sorting_network(self):
        answer = self.timed(1, "sorting", size=4)
        self.assertEqual(answer["entropy"], 33)

    def test_a_thousand_of_the_or_gate(self):
        answer = self.timed(0.5, "or", "--gen=1000")
        self.assertEqual(counts(answer), {6: 2, 5: 76, 4: 914, 3: 8})

    def test_labels_on_demand_agree(self):
        for name, size in (("and", None), ("cascade", 2), ("sorting", 2)):
            eager = solve(name, "--gen=200", size=size)
            lazy = solve(name, "--gen=200", "--lazy", size=size)
            self.assertEqual((eager["entropy"], counts(eager)), (lazy["entropy"], counts(lazy)), name)

    def test_thousands_of_monomers_that_cannot_meet(self):
        lines = "".join(f"a{i}\na{i}*\n" for i in range(20000))
        status, answer = help.service(lines)
        self.assertEqual((status, answer["entropy"]), (0, 20000))


if __name__ == "__main__":
    help.main()
