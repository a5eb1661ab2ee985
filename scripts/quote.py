"""Find what the rows of y quote from the very item of x that they belong to."""

from crosswalk.job import start

log = start(snakemake)

from crosswalk.files import read_parquet, write_json, write_parquet
from crosswalk.quotation import quotations, summary

source, params = snakemake.input, snakemake.params
x_rows, y_rows = read_parquet(source.x_rows), read_parquet(source.y_rows)
texts = [
    [text.removeprefix(preamble) for text in rows["text"]]
    for rows, preamble in zip((x_rows, y_rows), params.preambles, strict=True)
]
position = {item: i for i, item in enumerate(x_rows["id"])}
found = quotations(*texts, [position[item] for item in y_rows["group"]], run=params.words)
found.insert(0, "id", y_rows["id"])
found.insert(1, "item", y_rows["group"])
facts = summary(found, run=params.words)
write_parquet(snakemake.output.rows, found)
write_json(snakemake.output.facts, facts)
log.info(
    "%d of %d rows quote %d words or more of their own item, the longest %d; %d of %d items leak",
    facts["rows_quoting"], facts["rows"], facts["run"], facts["longest"], facts["items_leaking"], facts["items"],
)  # fmt: skip
