#!/usr/bin/env python3
"""Networks to try the engine on: networks.py NAME [SIZE] prints one, a monomer a line; without a name, the names.

    tree N       full binary tree of 2**N - 1 monomers, all of one level alike: one polymer, hard to see by search alone
    strands N    N strands `a` and N strands `a*`: N polymers, N! pairings
    and          a gate whose output comes free when both inputs are there
    or           two such gates sharing an output
    latch        a strand that is free in some stable configurations and bound in others
    cascade N    N steps of strand displacement, each freeing the strand that starts the next
    sorting N    a sorting network of N two-valued wires, doubled up
    ring N       N three-armed monomers with shuffled arms, and their partners: hard for any solver from about 40 on
"""
import random
import sys


def tree(depth):
    lines = []
    for level in range(depth):
        for _ in range(2 ** level):
            sites = [f"d{level}"] if level > 0 else []
            if level + 1 < depth:
                sites += [f"d{level + 1}*", f"d{level + 1}*"]
            lines.append(" ".join(sites))
    return lines


def strands(count):
    return ["a"] * count + ["a*"] * count


def gate(tag, inputs, output):
    """Each input covers two domains in a row; the cover gives way when all are there and the output leaves with it."""
    domains = [f"{tag}{i}" for i in range(2 * inputs)]
    scaffold = [d + "*" for d in domains]
    lines = [" ".join(domains + [output])]
    lines.append(" ".join(scaffold + [output + "*"]))
    lines.append(" ".join(scaffold))
    for i in range(inputs):
        lines.append(f"{domains[2 * i]} {domains[2 * i + 1]} >in_{tag}{i}")
    return lines


def and_gate():
    return gate("x", 2, "q") + ["q r >out", "r*", "q* r*"]


def or_gate():
    lines = gate("x", 2, "q") + gate("y", 2, "q")
    return lines + ["q r >out1", "q r >out2", "q* r*", "r*", "q*"]


def latch():
    return gate("x", 2, "q") + ["q s >set", "s t >reset", "s* t*", "q* s*", "t >held"]


def cascade(steps):
    lines = ["s0 t0 >start"]
    for i in range(steps):
        lines += [f"t{i}* s{i}* t{i}*", f"s{i} t{i}", f"t{i} s{i + 1} t{i + 1}", f"s{i + 1}*"]
    return lines


def comparator(a, b, low, high):
    """For each pair of values one monomer that takes them and gives the sorted ones, and one that keeps it closed."""
    lines = []
    for i in (0, 1):
        for j in (0, 1):
            lines.append(f"{a}.{i} {b}.{j} {low}.{min(i, j)}* {low}.{min(i, j)}* {high}.{max(i, j)}* {high}.{max(i, j)}*")
            lines.append(f"{a}.{i}* {b}.{j}*")
    return lines


def sorting(width, seed=1):
    values = random.Random(seed)
    names = [f"w{i}" for i in range(width)]
    lines = [" ".join(f"{n}.{b}* {n}.{b}*" for n, b in ((n, values.randrange(2)) for n in names))]
    fresh = 0
    for layer in range(width):
        for i in range(layer % 2, width - 1, 2):
            low, high = f"v{fresh}", f"v{fresh + 1}"
            fresh += 2
            lines += comparator(names[i], names[i + 1], low, high)
            names[i], names[i + 1] = low, high
    for n in names:
        for b in (0, 1):
            lines += [f"{n}.{b} e*", f"{n}.{b}*"]
    lines.append(" ".join(["e"] * width))
    return lines


def ring(count, seed=1):
    shuffle = random.Random(seed)
    arms = [f"r{i // 4}" for i in range(3 * count)]
    lines = []
    for star in ("", "*"):
        shuffle.shuffle(arms)
        lines += [" ".join(arm + star for arm in arms[3 * i:3 * i + 3]) for i in range(count)]
    return lines


NETWORKS = {"tree": (tree, 6), "strands": (strands, 50), "and": (and_gate, None), "or": (or_gate, None), "latch": (latch, None),
            "cascade": (cascade, 3), "sorting": (sorting, 4), "ring": (ring, 40)}


def network(name, size=None):
    """The lines of a network; size None: as large as its name promises."""
    make, default = NETWORKS[name]
    if default is None:
        return make()
    return make(size if size is not None else default)


def main():
    if len(sys.argv) < 2 or sys.argv[1] not in NETWORKS:
        print(__doc__.strip())
        return 0 if len(sys.argv) < 2 else 2
    print("\n".join(network(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else None)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
