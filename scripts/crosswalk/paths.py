"""The local files that a config names."""

import os
import re
from pathlib import Path

from crosswalk.errors import UserError
from crosswalk.wording import near


def source_paths(source):
    """The local files of a source, as a list, with `~` and environment variables put in.

    Raises UserError if a variable is not set.
    """
    paths = [source["path"]] if isinstance(source["path"], str) else source["path"]
    expanded = [os.path.expandvars(str(Path(path).expanduser())) for path in paths]
    for path in expanded:
        missing = re.search(r"\$\{?(\w+)", path)
        if missing:
            raise UserError(
                f"{path}: the environment variable {missing[1]} is not set; set it to the folder of the data"
            )
    return expanded


def missing_files(at, source, root):
    """Faults for the files of a source, or of any other mapping with `path`, that are not there.

    at: its place in the config; root: folder against which relative paths are looked up.
    """
    try:
        paths = source_paths(source)
    except UserError as error:
        return [f"{at}.path: {error}"]
    faults = []
    for path in paths:
        full = root / path
        if not full.is_file():
            siblings = [p.name for p in full.parent.iterdir()] if full.parent.is_dir() else []
            hint = near(full.name, siblings) or ("" if siblings else f"; there is no folder {full.parent}")
            faults.append(f"{at}.path: no file {path} (looked for {full.absolute()}){hint}")
    return faults
