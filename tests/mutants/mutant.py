# SPDX-License-Identifier: MIT
"""What a mutant is: the fields are explained in mutants.py."""
from collections import namedtuple

Mutant = namedtuple("Mutant", "name file edits unit guest options model host", defaults=(None, None, "", None, None))
