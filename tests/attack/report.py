"""Draws the table of doc/security.md anew."""

import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

from attack import attacks	# noqa: E402


def main():
    path = os.path.join(HERE, "../../doc/security.md")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    with open(path, "w", encoding="utf-8") as file:
        file.write(re.sub(r"(?ms)^\| attack \|.*?\n(?!\|)", lambda _: attacks.table(), text, count=1))


if __name__ == "__main__":
    main()
