"""Thermodynamic binding networks for tests: some to pose, and what is true of a small one, found by listing everything.

A network is a list of monomers as clients post it: lists of sites, a name ">m" at the end. The oracle shares nothing with the
engine but the definitions: it lists every saturated pairing, and for each the most polymers that the constraints allow."""

import itertools
import math
import random
from collections import Counter
from functools import lru_cache

from tbn import networks	# tests/tbn, the engine's own tests

# Networks


def four_strands():
    """The smallest network with something to choose."""
    return [["a", "b", ">mon1"], ["a*", "b*", ">mon2"], ["a", ">mon3"], ["b", ">mon4"]]


def and_gate():
    """Two inputs free an output strand that is bound twice over: 9 monomers, 10 bonds, 5184 pairings."""
    return [["toe_l", "left", "mid", ">first"], ["mid", "right", "toe_r", ">second"],
            ["toe_l*", "left*", "mid*", "right*", ">track"], ["left", "mid", "right", ">output"],
            ["left*", "right*", "toe_r*", ">reporter"], ["left", "toe_r", ">cap_left"], ["right", "mid", ">cap_right"],
            ["mid*", "toe_l*", ">sink"], ["toe_l", "right", "toe_r", ">fuel"]]


def exchange():
    """Two signals may change places on a common track with two toeholds: 12 monomers."""
    return [["l", "x", ">left"], ["x", "r", ">right"], ["l*", "x*", "y*", ">track_l"], ["y*", "x*", "r*", ">track_r"],
            ["x", "y", ">bridge"], ["y", "z", ">swap"], ["z*", "l*", ">hold_l"], ["z*", "r*", ">hold_r"],
            ["l", "z", ">fuel"], ["r", "z", ">waste"], ["x", "y", ">copy"], ["z", ">cap"]]


def or_gate(copies=2):
    """Gates where one of two inputs is enough, feeding a common threshold; each copy multiplies the pairings by thousands."""
    gate = [["in", "x", ">ina"], ["in", "y", ">inb"], ["in*", "x*", "y*", ">track"], ["x", "y", "out", ">cover"],
            ["y*", "out*", ">next"], ["x*", "in*", ">sink"], ["y", "x", ">guard"], ["out", "in", ">fuel"]]
    gates = [[token + str(i) if token[0] == ">" else token for token in monomer] for i in range(copies) for monomer in gate]
    return gates + [["out*", "x*", ">threshold"], ["y*", "in*", ">report"]]


def displacement(steps=4):
    """A cascade: the strand that one step sets free opens the next; two invaders compete for each step's complex."""
    out = [["t0", "d0", ">invader0"], ["t0", "d0", ">rival"]]
    for i in range(steps):
        out.append([f"t{i}*", f"d{i}*", f"t{i + 1}*", ">complex" + str(i)])
        out.append([f"d{i}", f"t{i + 1}", f"d{i + 1}", f">step{i}"])
        out.append([f"d{i}", f"t{i + 1}", f">leak{i}"])
    return out + [[f"d{steps}*", ">report"]]


def apart(monomers, mark):
    """The same network with every type, site and name renamed, so that it can stand beside the original."""
    def renamed(token):
        if token.startswith(">"):
            return token + mark
        kind, colon, name = token.partition(":")
        star = "*" if kind.endswith("*") else ""
        return kind.rstrip("*") + mark + star + (colon + name + mark if colon else "")
    return [[renamed(token) for token in monomer] for monomer in monomers]


def tree(levels):
    """2^levels - 1 monomers, each but the root bound to one of the level above: 2! 4! 8! ... pairings, all of one polymer."""
    return [line.split() for line in networks.tree(levels)]


def hard(monomers=96):
    """Nothing to go by: a search for its entropy ends only with its time limit."""
    return [line.split() for line in networks.ring(monomers // 2)]


def heap(monomers, sites=3, types=50, seed=1):
    """Thousands of monomers where most could be bound to most."""
    chance = random.Random(seed)
    return [[f"s{chance.randrange(types)}" + "*" * (i % 2) for _ in range(sites)] for i in range(monomers)]


def small(seed):
    """A random network of a few hundred pairings at most, and for two seeds of three some constraints that can hold."""
    chance = random.Random(seed)
    while True:
        monomers = [[chance.choice("abc") + chance.choice(["", "*"]) for _ in range(chance.randint(1, 3))]
                    for _ in range(chance.randint(2, 6))]
        network = Network(monomers)
        if 1 < network.number_of_pairings() <= 400 and not any(
                site + "*" in monomer for monomer in monomers for site in monomer):
            break
    position = 0
    for i, monomer in enumerate(monomers):
        monomer[:] = [f"{site}:s{position + j}" for j, site in enumerate(monomer)] + [f">m{i}"]
        position += len(monomer) - 1
    network, constraints = Network(monomers), []
    joined = [(a, b) for a in range(network.n) for b in range(a) if network.component[a] == network.component[b]]
    pairs = [(a, b) for normal, starred in network.types.values() for a in normal for b in starred]
    for _ in range(seed % 3 if joined else 0):
        (a, b), (s, t) = chance.choice(joined), chance.choice(pairs)
        constraints.append(chance.choice([
            ["TOGETHER", f"m{a}", f"m{b}"], ["NOTTOGETHER", f"m{a}", f"m{b}"], ["FREE", f"m{a}"], ["NOTFREE", f"m{a}"],
            ["PAIRED", f"s{s}", f"s{t}"], ["NOTPAIRED", f"s{t}", f"s{s}"], ["ANYPAIRED", f"s{s}"], ["NOTANYPAIRED", f"s{t}"]]))
    return monomers, constraints


# The oracle


class Network:
    """What can be told without solving: owner, type and side of each site, components of monomers that could ever be joined."""

    def __init__(self, monomers):
        self.monomers, self.names, self.site_names, self.sites = [], {}, {}, []
        for tokens in monomers:
            sites = [token for token in tokens if not token.startswith(">")]
            for token in tokens:
                if token.startswith(">"):
                    self.names[token[1:]] = len(self.monomers)
            for site in sites:
                kind, _, name = site.partition(":")
                if name:
                    self.site_names[name] = len(self.sites)
                self.sites.append((kind.rstrip("*"), kind.endswith("*"), len(self.monomers)))
            self.monomers.append(tokens)
        self.n = len(self.monomers)
        self.types = {}
        for i, (kind, star, _) in enumerate(self.sites):
            self.types.setdefault(kind, ([], []))[star].append(i)
        self.bonds = sum(min(map(len, sides)) for sides in self.types.values())
        self.component = list(range(self.n))
        for normal, starred in self.types.values():
            if normal and starred:
                self.join(self.component, [self.owner(i) for i in normal + starred])

    def owner(self, site):
        return self.sites[site][2]

    @staticmethod
    def join(label, members):
        least, old = min(label[m] for m in members), {label[m] for m in members}
        for i, value in enumerate(label):
            if value in old:
                label[i] = least

    def number_of_pairings(self):
        return math.prod(math.perm(max(sides), min(sides)) for sides in
                         ((len(normal), len(starred)) for normal, starred in self.types.values()))

    def pairings(self):
        """Each saturated pairing as a tuple of bonds (normal site, starred site)."""
        choices = []
        for normal, starred in self.types.values():
            if len(normal) <= len(starred):
                choices.append([tuple(zip(normal, some)) for some in itertools.permutations(starred, len(normal))])
            else:
                choices.append([tuple(zip(some, starred)) for some in itertools.permutations(normal, len(starred))])
        for parts in itertools.product(*choices):
            yield tuple(itertools.chain.from_iterable(parts))

    def classes(self, bonds):
        """The polymers of a pairing: for each monomer the earliest one that it is joined to."""
        label = list(range(self.n))
        for a, b in bonds:
            x, y = label[self.owner(a)], label[self.owner(b)]
            if x != y:
                x, y = min(x, y), max(x, y)
                label = [x if value == y else value for value in label]
        return tuple(label)


class Constraints:
    """Of those that could hold: what is an error in itself is none of the oracle's business."""

    def __init__(self, network, lines):
        self.network, self.lines = network, lines
        self.not_free = []
        for kind, *args in lines:
            if kind == "NOTFREE":
                self.not_free.append(network.names[args[0]])

    def bonds_allowed(self, bonds):
        pairs = {frozenset(bond) for bond in bonds}
        bonded = {site for bond in bonds for site in bond}
        for kind, *args in self.lines:
            if not kind.endswith("PAIRED"):
                continue
            sites = [self.network.site_names[arg] for arg in args]
            holds = sites[0] in bonded if "ANY" in kind else frozenset(sites) in pairs
            if holds == kind.startswith("NOT"):
                return False
        return True

    def polymers(self, classes):
        """The most classes of a coarser partition that obeys the constraints on monomers, or None."""
        label = list(classes)
        names, component = self.network.names, self.network.component
        for kind, *args in self.lines:
            if kind == "TOGETHER" and args:
                assert len({component[names[arg]] for arg in args}) == 1
                self.network.join(label, [names[arg] for arg in args])
        return self._merge(tuple(label))

    def _merge(self, label):
        sizes, names = Counter(label), self.network.names
        for kind, *args in self.lines:
            if kind == "FREE" and sizes[label[names[args[0]]]] > 1:
                return None	# merging more does not help
            if kind == "NOTTOGETHER" and args[0] != args[1] and label[names[args[0]]] == label[names[args[1]]]:
                return None
        for monomer in self.not_free:
            if sizes[label[monomer]] == 1:
                found = []
                for other in sorted(sizes):
                    if other != label[monomer] and self.network.component[other] == self.network.component[monomer]:
                        merged = list(label)
                        self.network.join(merged, [monomer, other])
                        found.append(self._merge(tuple(merged)))
                return max((count for count in found if count is not None), default=None)
        return len(sizes)


class Truth:
    """entropy, counts (polymer counts of all allowed pairings with at least init_k, falling), partitions (with how many
    pairings print as each; unconstrained networks alone)."""

    def __init__(self, monomers, constraints=(), init_k=1):
        network = Network(monomers)
        rules = Constraints(network, [line for line in constraints if line])
        self.network, self.entropy, self.partitions = network, 0, Counter()
        polymers = lru_cache(maxsize=None)(rules.polymers)
        counts = Counter()
        for bonds in network.pairings():
            classes = network.classes(bonds)
            self.entropy = max(self.entropy, len(set(classes)))
            value = polymers(classes) if rules.bonds_allowed(bonds) else None
            if value is not None and value >= max(1, init_k):
                counts[value] += 1
                self.partitions[classes] += 1
        self.counts = sorted(counts.elements(), reverse=True)

    def lists(self, configurations):
        """Whether these are all the pairings, each printed as often as there are pairings that print so."""
        names, printed = self.network.monomers, Counter()
        for classes, times in self.partitions.items():
            members = {}
            for i, label in enumerate(classes):
                members.setdefault(label, []).append(names[i])
            printed[frozenset(shown(members.values()).items())] += times
        return printed == Counter(frozenset(shown(c["polymers"]).items()) for c in configurations)


def side_by_side(*truths):
    """The polymer counts of networks that share no type, as one network."""
    total = Counter({0: 1})
    for truth in truths:
        total, before = Counter(), total
        for (a, n), (b, m) in itertools.product(before.items(), Counter(truth.counts).items()):
            total[a + b] += n * m
    return sorted(total.elements(), reverse=True)


# What is true of any answer


def shown(polymers):
    """A configuration as the multiset of its polymers, for comparisons: the order of a polymer's other monomers is free."""
    return Counter(tuple(sorted(tuple(monomer) for monomer in polymer)) for polymer in polymers)


def faults(monomers, configuration, entropy):
    """What is wrong with a configuration: [] if it can be one."""
    polymers, wrong = configuration["polymers"], []
    if configuration["polymers_count"] != len(polymers):
        wrong.append("polymers_count is not the number of polymers")
    if Counter(tuple(m) for p in polymers for m in p) != Counter(map(tuple, monomers)):
        wrong.append("it is no partition of the monomers")
    if len(polymers) > entropy:
        wrong.append("it has more polymers than the entropy")
    for kind, sides in Network(monomers).types.items():
        possible = 0
        for polymer in polymers:
            sites = [s.partition(":")[0] for m in polymer for s in m if not s.startswith(">")]
            possible += min(sites.count(kind), sites.count(kind + "*"))
        if possible < min(map(len, sides)):
            wrong.append(f"the bonds of {kind} do not fit into its polymers")
    places, left = [], [list(monomer) for monomer in monomers]
    for polymer in polymers:
        places.append(left.index(polymer[0]) if polymer[0] in left else -1)
        for monomer in polymer:
            if monomer in left:
                left[left.index(monomer)] = None
    if len({tuple(m) for m in monomers}) == len(monomers) and places != sorted(places):
        wrong.append("polymers are not in the order of their earliest monomers")
    return wrong
