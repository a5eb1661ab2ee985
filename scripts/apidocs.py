"""Write the public documentation of one installed package as two tables of lines of JSON."""

from crosswalk.job import start

log = start(snakemake)

import json

from crosswalk import apidocs
from crosswalk.files import atomic

functions, parameters = apidocs.walk(snakemake.wildcards.package)
for path, rows in ((snakemake.output.functions, functions), (snakemake.output.parameters, parameters)):
    with atomic(path, "w") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
