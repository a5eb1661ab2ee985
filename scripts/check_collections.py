"""Check the collections against one another, and against what later steps need, before anything is embedded."""

from crosswalk.job import start

log = start(snakemake)

from crosswalk.checking import check
from crosswalk.files import write_json
from crosswalk.limits import encoded
from crosswalk.units import most

# Not from params: all embeddings rest on this check, and must not be made anew because of another number of units.
config = snakemake.config
collections = config["collections"]
relations = {name: own for name, own in config["relate"].items() if own["method"] == "cross_fitted"}
rows = check(
    dict(zip(collections, snakemake.input.rows, strict=True)),
    links={name: own["link"]["to"] for name, own in collections.items() if "link" in own},
    contrasts={name: own["contrast"] for name, own in collections.items() if "contrast" in own},
    relations=relations,
    matchings=config.get("match"),
    units=dict.fromkeys(encoded(config), most(config["encode"])),
    preambles={own[key]: collections[own[key]]["text"]["preamble"] for own in relations.values() for key in "xy"},
)
log.info("collections fit together: %s", ", ".join(f"{name} {n:,} rows" for name, n in rows.items()))
write_json(snakemake.output[0], rows)
