"""What a run leaves to read and to cite.

inputs   everything above
outputs  <results>/report.html, <results>/provenance.json, <results>/provenance.yaml;
         on request <results>/ro-crate-metadata.json
"""

# The relations that were tested, which leave more to tell.
TESTED = [r for r in RELATIONS if not published(r)]
FOCUSED = [r for r in TESTED if config["relate"][r]["focus"]]
STEERED = [c for c in encoded(config) if steering_phrases(c)] if ENCODINGS else []
# Read here: when jobs are planned, the path variables are those of the workflow that imports this one.
RECORD, BENCHMARKS = map(workflow.pathvars.apply, ("<results>/provenance.json", "<benchmarks>"))


rule provenance:
    """Record what made the results: settings, versions, inputs, counts, cost."""
    input:
        counts=[f"<results>/collections/{c}.counts.json" for c in COLLECTIONS],
        usage=[f"<results>/embeddings/{c}.usage.json" for c in EMBEDDED],
        relations=[f"<results>/relate/{r}/relations.parquet" for r in RELATIONS],
        phrases=[
            f"<results>/match/{m}/phrases/{s}.usage.json"
            for m in MATCHINGS
            if not row_wise(m)
            for s in "ab"
        ],
        names=[f"<results>/relate/{r}/names.usage.json" for r in TESTED],
        asked=[f"<results>/relate/{r}/focus/usage.json" for r in FOCUSED],
        steered=[f"<results>/encodings/{c}/steered.usage.json" for c in STEERED],
        matches=[f"<results>/match/{m}/diagnostics.json" for m in MATCHINGS],
        recommended=[f"<results>/recommend/{r}/diagnostics.json" for r in RECOMMENDERS],
        # Not read: with them every step that is timed is done.
        histories=[f"<results>/encodings/{c}/{e}/history.csv" for c, e in ENCODED],
        lists=[
            f"<results>/recommend/{r}/{file}.parquet"
            for r in RECOMMENDERS
            for file in ("suggestions", "similar_works", "map_works")
        ],
    output:
        record="<results>/provenance.json",
        # Kept until the new one is there: a run may be reading its settings from it.
        config=update("<results>/provenance.yaml"),
    log:
        "<logs>/provenance.log",
    conda:
        "../../envs/base.yaml"
    params:
        collections=COLLECTIONS,
        embedded=EMBEDDED,
        relations=RELATIONS,
        tested=TESTED,
        focused=FOCUSED,
        steered=STEERED,
        phrases=[f"{m}/{s}" for m in MATCHINGS if not row_wise(m) for s in "ab"],
        matchings=MATCHINGS,
        recommenders=RECOMMENDERS,
        config=PUBLIC_CONFIG,
        # Below the prefix of the module, if this is one and has one.
        benchmarks=lambda w, output: output.record.removesuffix(RECORD) + BENCHMARKS,
        steps=benchmark_names(),
        code_versions={script.stem: code(script.name) for script in sorted(SCRIPTS.glob("*.py"))},
        code=code("provenance.py", "envs/requirements.lock", "envs/requirements.in"),
    script:
        "../../scripts/provenance.py"


rule crate:
    """Describe the results as an RO-Crate, beside them."""
    input:
        # All that was asked for is there before it is described.
        lambda w: rules.all.input,
        record="<results>/provenance.json",
        config="<results>/provenance.yaml",
    output:
        "<results>/ro-crate-metadata.json",
    log:
        "<logs>/crate.log",
    conda:
        "../../envs/base.yaml"
    params:
        code=code("crate.py"),
    script:
        "../../scripts/crate.py"


rule page:
    """Write the page of the run."""
    input:
        **{
            f"match_{name}": [f"<results>/match/{m}/{name}.{ending}" for m in MATCHINGS]
            for name, ending in MATCH_FILES.items()
        },
        **{
            f"recommend_{name}": [f"<results>/recommend/{r}/{name}.{ending}" for r in RECOMMENDERS]
            for name, ending in RECOMMEND_FILES.items()
        },
        rows=[f"<results>/collections/{c}.parquet" for c in COLLECTIONS],
        counts=[f"<results>/collections/{c}.counts.json" for c in COLLECTIONS],
        usage=[f"<results>/embeddings/{c}.usage.json" for c in EMBEDDED],
        vectors=[f"<results>/embeddings/{c}.arrow" for c in EMBEDDED],
        inertia=[f"<results>/describe/{c}/inertia.csv" for c in EMBEDDED],
        map=[f"<results>/describe/{c}/map.parquet" for c in EMBEDDED],
        facts=[f"<results>/describe/{c}/facts.json" for c in EMBEDDED],
        contrast=[f"<results>/describe/{c}/contrast.csv" for c in EMBEDDED],
        histories=[f"<results>/encodings/{c}/{e}/history.csv" for c, e in ENCODED],
        models=[f"<results>/encodings/{c}/{e}/model.safetensors" for c, e in ENCODED],
        codes=[f"<results>/encodings/{c}/{e}/encoding.arrow" for c, e in ENCODED],
        choices=[f"<results>/encodings/{c}/{e}-{AUTO}/units.csv" for c, e in OPEN],
        relations=[f"<results>/relate/{r}/relations.parquet" for r in RELATIONS],
        ends=[f"<results>/relate/{r}/ends.parquet" for r in RELATIONS],
        scores=[f"<results>/relate/{r}/scores.parquet" for r in RELATIONS],
        encoders=[f"<results>/relate/{r}/encoders.csv" for r in RELATIONS],
        tested=[f"<results>/relate/{r}/tested.csv" for r in RELATIONS],
        retrieval=[f"<results>/relate/{r}/retrieval.csv" for r in RELATIONS],
        correlations=[
            f"<results>/relate/{r}/correlation/{e}.arrow" for r in RELATIONS for e in ENCODINGS
        ],
        power=[f"<results>/relate/{r}/power.csv" for r in TESTED],
        searches=[f"<results>/relate/{r}/searches.json" for r in TESTED],
        # Snakemake refuses an input named `items`.
        grouping=[f"<results>/relate/{r}/items.json" for r in TESTED],
        quotations=[f"<results>/relate/{r}/quotations.json" for r in TESTED],
        axes=[f"<results>/relate/{r}/{name}/axes/axes.json" for r in TESTED for name in lists(r)],
        echo=[f"<results>/relate/{r}/beyond/echo.json" for r in TESTED if "beyond" in lists(r)],
        phrases=[
            f"<results>/relate/{r}/focus/phrases.csv"
            for r in TESTED
            if config["relate"][r]["focus"]
        ],
        provenance="<results>/provenance.json",
    output:
        report(
            "<results>/report.html",
            caption="../report/page.rst",
            category="Page",
            labels={"page": "everything in one page"},
        ),
    log:
        "<logs>/page.log",
    conda:
        "../../envs/base.yaml"
    params:
        collections=COLLECTIONS,
        embedded=EMBEDDED,
        encodings=[[c, *map(str, point)] for c in encoded(config) for point in SWEEP],
        choices=[list(pair) for pair in OPEN],
        relations=RELATIONS,
        matchings=MATCHINGS,
        recommenders=RECOMMENDERS,
        correlations=[[r, *map(str, point)] for r in RELATIONS for point in SWEEP],
        told={
            **dict.fromkeys(("power", "searches", "grouping", "quotations"), TESTED),
            "axes": [[r, name] for r in TESTED for name in lists(r)],
            "echo": [r for r in TESTED if "beyond" in lists(r)],
            "phrases": [r for r in TESTED if config["relate"][r]["focus"]],
        },
        config=PUBLIC_CONFIG,
        code=code(
            "report.py",
            "scripts/crosswalk/page.html.j2",
            "scripts/crosswalk/relate.html.j2",
            "scripts/crosswalk/match.html.j2",
            "scripts/crosswalk/recommend.html.j2",
            "scripts/crosswalk/page.css",
        ),
    script:
        "../../scripts/report.py"
