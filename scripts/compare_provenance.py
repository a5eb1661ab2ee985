"""Say what two results were made from that is not the same: version, inputs, settings, packages, code.

examples:
  python scripts/compare_provenance.py results/study results/again
  python scripts/compare_provenance.py old/provenance.json results/study/provenance.json

Two folders of results, or the provenance.json of each. The exit code is 0 if all is the same, 1 if something is not, 2
if a record cannot be read.
"""

import argparse
import sys
from pathlib import Path

from crosswalk.files import read_json
from crosswalk.provenance import differences


def main(arguments=None):
    """Run the command line; returns the exit code."""
    about, more = __doc__.split("\n\n", 1)
    parser = argparse.ArgumentParser(
        description=about, epilog=more, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("old", metavar="OLD", help="folder of results, or its provenance.json")
    parser.add_argument("new", metavar="NEW", help="the other one")
    options = parser.parse_args(arguments)
    records = []
    for path in map(Path, (options.old, options.new)):
        path = path / "provenance.json" if path.is_dir() else path
        try:
            records.append(read_json(path))
        except (OSError, ValueError) as error:
            print(f"{path}: cannot be read ({error})", file=sys.stderr)
            return 2
    found = differences(*records)
    print(*(found or ["Both were made from the same."]), sep="\n")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
