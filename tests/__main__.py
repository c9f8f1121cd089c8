"""`python3 -m tests [PYTEST ARGUMENTS]`. Python 3.6 must be able to parse this file."""

import sys

from tap_clarity.demo.prerequisites import find_problem

if __name__ == "__main__":
    problem = find_problem((3, 11), (3, 14))
    if problem:
        sys.exit(problem)

    from tests.checks import main

    sys.exit(main(sys.argv[1:]))
