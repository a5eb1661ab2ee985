"""Download the file of one collection into the cache, and write where it is."""

from crosswalk.job import start

log = start(snakemake)

from pathlib import Path

from crosswalk.download import fetch
from crosswalk.files import digest, write_json
from crosswalk.provenance import public_url

# Not from params, which Snakemake keeps in clear: the address may be signed.
source = snakemake.config["collections"][snakemake.wildcards.collection]["source"]
path = fetch(source["url"], folder=Path(snakemake.config["cache"]) / "downloads", sha256=source.get("sha256"))
pointer = {"path": str(path), "url": public_url(source["url"]), "sha256": digest(path), "bytes": path.stat().st_size}
write_json(snakemake.output[0], pointer)
