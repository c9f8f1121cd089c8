"""`python3 -m tap_clarity.demo`. Python 3.6 must be able to parse this file."""

import sys

from tap_clarity.demo.prerequisites import find_problem

if __name__ == "__main__":
    problem = find_problem((3, 11), (3, 13))
    if problem:
        sys.exit(problem)

    from tap_clarity.demo.bootstrap import main

    sys.exit(main())
