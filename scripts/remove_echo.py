"""Find the directions of x that y may repeat, which a search beyond the repetition takes out of y."""

from crosswalk.job import start

log = start(snakemake)

from crosswalk.echo import repeated_directions
from crosswalk.errors import UserError
from crosswalk.files import write_json, write_vectors
from crosswalk.items import prepared_items

MOST = 0.999  # share of y that can go and leave something

source, settings = snakemake.input, snakemake.params.settings
_, _, x, y = prepared_items(
    source.linked, source.x_rows, source.y_rows, source.x, source.y,
    covariates=snakemake.params.covariates, fold_count=settings["folds"], seed=snakemake.params.seed,
)  # fmt: skip
found = repeated_directions(x, y, remove=settings["remove"], components=settings["components"])
count = found.basis.shape[1]
write_vectors(snakemake.output.basis, [str(i) for i in range(count)], found.basis.T, column="direction")
facts = {"removed": count, "width": x.shape[1], "of_x": found.of_x, "of_y": found.of_y}
write_json(snakemake.output.facts, facts)
log.info(
    "%d of %d directions of x are taken out of y: they hold %.0f %% of what differs in x and %.0f %% of what does in y",
    count, x.shape[1], 100 * found.of_x, 100 * found.of_y,
)  # fmt: skip
if found.of_y > MOST:
    raise UserError(
        f"relate.{snakemake.wildcards.relation}.echo.remove: {count} directions of x hold all that differs in y, and "
        "nothing is left to search. Lower it, set it to auto, or to 0 for no list beyond the echo."
    )
