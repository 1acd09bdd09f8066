#!/usr/bin/env python3
"""brute.py FILE: entropy of a small network without constraints, and how many pairings make how many polymers, by listing them
all. A second oracle beside toy.c, for the networks whose counts the tests expect."""
import collections
import sys


def read(lines):
    """Monomers as lists of (type, star)."""
    monomers = []
    for line in lines:
        sites = []
        for word in line.split("#")[0].split():
            if word[0] == ">":
                break
            word = word.split(":")[0]
            sites.append((word.split("*")[0], "*" in word))
        if sites:
            monomers.append(sites)
    return monomers


def pairings(sides):
    """All ways to bond every member of the smaller of two lists with one of the other."""
    few, many = sorted(sides, key=len)

    def extend(at, taken):
        if at == len(few):
            yield []
            return
        for partner in many:
            if partner[0] not in taken:
                for rest in extend(at + 1, taken | {partner[0]}):
                    yield [(few[at][1], partner[1])] + rest

    return list(extend(0, frozenset()))


def polymers(count, bonds):
    leader = list(range(count))

    def find(m):
        while leader[m] != m:
            m = leader[m]
        return m

    for a, b in bonds:
        leader[find(a)] = find(b)
    return sum(find(m) == m for m in range(count))


def levels(lines):
    """{polymers: pairings}"""
    monomers = read(lines)
    sites = collections.defaultdict(lambda: ([], []))
    for m, held in enumerate(monomers):
        for i, (kind, star) in enumerate(held):
            sites[kind][star].append(((m, i), m))
    choices = [pairings(sides) for sides in sites.values()]
    found = collections.Counter()

    def extend(at, bonds):
        if at == len(choices):
            found[polymers(len(monomers), bonds)] += 1
            return
        for choice in choices[at]:
            extend(at + 1, bonds + choice)

    extend(0, [])
    return dict(found)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        found = levels(file)
    print("entropy", max(found))
    for count in sorted(found, reverse=True):
        print(f"{found[count]} pairings make {count} polymers")


if __name__ == "__main__":
    main()
