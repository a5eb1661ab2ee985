"""Describe a folder of results as an RO-Crate, for archives."""

from crosswalk.job import start

log = start(snakemake)

import datetime
from pathlib import Path

import yaml

from crosswalk.crate import describe
from crosswalk.files import read_json, write_json
from crosswalk.provenance import inputs_of

folder, citation = Path(snakemake.output[0]).parent, Path(snakemake.scriptdir).parent / "CITATION.cff"
made = datetime.datetime.fromtimestamp(Path(snakemake.input.record).stat().st_mtime, datetime.UTC)
record = read_json(snakemake.input.record)
paths = {path.relative_to(folder): path for path in sorted(folder.rglob("*")) if path.is_file()}
files = {
    name.as_posix(): path.stat().st_size
    for name, path in paths.items()
    if name.parts[0] not in ("logs", "benchmarks", "ro-crate-metadata.json") and not name.name.startswith(".")
}
crate = describe(
    files,
    record=record,
    inputs=list(inputs_of(record)),
    citation=yaml.safe_load(citation.read_text(encoding="utf-8")) if citation.is_file() else {},
    made=made.isoformat(timespec="seconds"),
)
write_json(snakemake.output[0], crate)
log.info("%d files described", len(files))
