"""Download the file of one collection into the cache, and write where it is."""

from crosswalk.job import start

log = start(snakemake)

from crosswalk.download import fetch
from crosswalk.files import write_json
from crosswalk.sources import digest

params = snakemake.params
path = fetch(params.url, folder=params.folder, sha256=params.sha256)
pointer = {"path": str(path), "url": params.url, "sha256": digest(path), "bytes": path.stat().st_size}
write_json(snakemake.output[0], pointer)
