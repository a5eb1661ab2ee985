"""Which subjects the works of a collection are missing.

inputs   config: recommend.<name>; <results>/collections/{works}.parquet and the source behind it
outputs  <results>/recommend/{recommender}/suggestions.csv
"""

# Everything is fitted twice: without the links that are hidden to weigh and to judge it, and with all of them.
HELD_OUT, FINAL = "held_out", "final"


rule interactions:
    """Read which works bear which subjects."""
    input:
        rows=works_of("<results>/collections/{collection}.parquet"),
        source=tag_files,
        broader=lambda w: local(broader_files(w.recommender)),
    output:
        links="<results>/recommend/{recommender}/links.safetensors",
        borne="<results>/recommend/{recommender}/borne.safetensors",
        subjects="<results>/recommend/{recommender}/subjects.parquet",
        works="<results>/recommend/{recommender}/works.parquet",
        counts="<results>/recommend/{recommender}/counts.json",
    log:
        "<logs>/interactions/{recommender}.log",
    benchmark:
        "<benchmarks>/interactions/{recommender}.tsv"
    conda:
        "../../envs/base.yaml"
    params:
        settings=lambda w: recommend_settings(
            w.recommender, "tags", "broader", "min_works", "min_subjects"
        ),
        works=lambda w: works_settings(w.recommender),
        fetched=lambda w: tags_fetched(w.recommender),
        code=code("interactions.py"),
    script:
        "../../scripts/interactions.py"


rule hide_links:
    """Draw which links are hidden, to weigh the models and to judge them."""
    input:
        links="<results>/recommend/{recommender}/links.safetensors",
        subjects="<results>/recommend/{recommender}/subjects.parquet",
        works="<results>/recommend/{recommender}/works.parquet",
    output:
        "<results>/recommend/{recommender}/split.safetensors",
    log:
        "<logs>/hide_links/{recommender}.log",
    conda:
        "../../envs/base.yaml"
    params:
        settings=lambda w: recommend_settings(w.recommender, "split"),
        seed=config["seed"],
        code=code("hide_links.py"),
    script:
        "../../scripts/hide_links.py"


rule terms:
    """Count the terms of the works' texts; held out are those of new works that judge."""
    input:
        unpack(hidden_links),
        rows=works_of("<results>/collections/{collection}.parquet"),
        links="<results>/recommend/{recommender}/links.safetensors",
    output:
        matrix="<results>/recommend/{recommender}/{part}/terms.safetensors",
        model="<results>/recommend/{recommender}/{part}/idf.safetensors",
        vocabulary="<results>/recommend/{recommender}/{part}/terms.json",
    log:
        "<logs>/terms/{recommender}/{part}.log",
    benchmark:
        "<benchmarks>/terms/{recommender}/{part}.tsv"
    conda:
        "../../envs/base.yaml"
    params:
        settings=lambda w: recommend_settings(w.recommender, "features"),
        code=code("terms.py"),
    script:
        "../../scripts/terms.py"


rule fit_tree:
    """Train the label-tree classifier of the works' texts."""
    input:
        unpack(hidden_links),
        **what_models_see("{part}"),
        rows=works_of("<results>/collections/{collection}.parquet"),
    output:
        "<results>/recommend/{recommender}/{part}/tree.safetensors",
    log:
        "<logs>/fit_tree/{recommender}/{part}.log",
    benchmark:
        "<benchmarks>/fit_tree/{recommender}/{part}.tsv"
    conda:
        "../../envs/recommend.yaml"
    threads: 2
    params:
        settings=lambda w: recommend_settings(w.recommender, "tree"),
        seed=config["seed"],
        code=code("fit_tree.py"),
    script:
        "../../scripts/fit_tree.py"


rule fit_network:
    """Train the network that reads the works' texts and embedding."""
    input:
        unpack(hidden_links),
        unpack(vectors_of_works),
        **what_models_see("{part}"),
        rows=works_of("<results>/collections/{collection}.parquet"),
    output:
        "<results>/recommend/{recommender}/{part}/network.safetensors",
    log:
        "<logs>/fit_network/{recommender}/{part}.log",
    benchmark:
        "<benchmarks>/fit_network/{recommender}/{part}.tsv"
    conda:
        "../../envs/recommend.yaml"
    threads: 1
    params:
        settings=lambda w: recommend_settings(w.recommender, "network"),
        seed=config["seed"],
        code=code("fit_network.py"),
    script:
        "../../scripts/fit_network.py"


rule factorise_point:
    """Learn vectors of works and subjects, for one point of the sweep, without the hidden links."""
    input:
        unpack(vectors_of_works),
        **what_models_see(HELD_OUT),
        rows=works_of("<results>/collections/{collection}.parquet"),
    output:
        model="<results>/recommend/{recommender}/sweep/{point}/model.safetensors",
        history="<results>/recommend/{recommender}/sweep/{point}/history.csv",
        facts="<results>/recommend/{recommender}/sweep/{point}/facts.json",
    log:
        "<logs>/factorise/{recommender}/{point}.log",
    benchmark:
        "<benchmarks>/factorise/{recommender}/{point}.tsv"
    conda:
        "../../envs/recommend.yaml"
    threads: 1
    params:
        point=lambda w: point_settings(w.recommender, w.point),
        settings=lambda w: factorisation_settings(w.recommender),
        path=lambda w: recommend_settings(w.recommender, "path"),
        seed=config["seed"],
        code=code("factorise.py"),
    script:
        "../../scripts/factorise.py"


rule compare_points:
    """Judge every point of the sweep, and choose the one that finds most of the links hidden for validation."""
    input:
        unpack(vectors_of_works),
        **what_models_see(HELD_OUT),
        rows=works_of("<results>/collections/{collection}.parquet"),
        models=lambda w: [
            f"<results>/recommend/{w.recommender}/sweep/{p}/model.safetensors"
            for p in point_folders(w.recommender)
        ],
        histories=lambda w: [
            f"<results>/recommend/{w.recommender}/sweep/{p}/history.csv"
            for p in point_folders(w.recommender)
        ],
        facts=lambda w: [
            f"<results>/recommend/{w.recommender}/sweep/{p}/facts.json"
            for p in point_folders(w.recommender)
        ],
    output:
        chosen="<results>/recommend/{recommender}/sweep/chosen.json",
        sweep=report(
            "<results>/recommend/{recommender}/sweep.csv",
            caption="../report/recommend_sweep.rst",
            category="Recommend",
            labels={"recommender": "{recommender}", "table": "sweep"},
        ),
        ablation=report(
            "<results>/recommend/{recommender}/ablation.csv",
            caption="../report/recommend_ablation.rst",
            category="Recommend",
            labels={"recommender": "{recommender}", "table": "ablation"},
        ),
        history="<results>/recommend/{recommender}/history.csv",
    log:
        "<logs>/compare_points/{recommender}.log",
    benchmark:
        "<benchmarks>/compare_points/{recommender}.tsv"
    conda:
        "../../envs/recommend.yaml"
    threads: 1
    params:
        points=lambda w: {p: point_settings(w.recommender, p) for p in point_folders(w.recommender)},
        settings=lambda w: factorisation_settings(w.recommender),
        path=lambda w: recommend_settings(w.recommender, "path"),
        seed=config["seed"],
        code=code("compare_points.py"),
    script:
        "../../scripts/compare_points.py"


rule factorise:
    """Learn vectors of works and subjects from all links, as the chosen point of the sweep says."""
    input:
        unpack(vectors_of_works),
        **what_models_see(FINAL),
        rows=works_of("<results>/collections/{collection}.parquet"),
        chosen="<results>/recommend/{recommender}/sweep/chosen.json",
    output:
        model="<results>/recommend/{recommender}/final/factorisation.safetensors",
        history="<results>/recommend/{recommender}/final/history.csv",
        facts="<results>/recommend/{recommender}/final/facts.json",
    log:
        "<logs>/factorise/{recommender}/final.log",
    benchmark:
        "<benchmarks>/factorise/{recommender}/final.tsv"
    conda:
        "../../envs/recommend.yaml"
    threads: 1
    params:
        settings=lambda w: factorisation_settings(w.recommender),
        path=lambda w: recommend_settings(w.recommender, "path"),
        seed=config["seed"],
        code=code("factorise.py"),
    script:
        "../../scripts/factorise.py"


rule fit_published:
    """Train the chapter's own model, for comparison."""
    input:
        **what_models_see(HELD_OUT),
        rows=works_of("<results>/collections/{collection}.parquet"),
    output:
        model="<results>/recommend/{recommender}/held_out/published.safetensors",
        history="<results>/recommend/{recommender}/held_out/published.csv",
    log:
        "<logs>/fit_published/{recommender}.log",
    benchmark:
        "<benchmarks>/fit_published/{recommender}.tsv"
    conda:
        "../../envs/recommend.yaml"
    threads: 1
    params:
        seed=config["seed"],
        code=code("fit_published.py"),
    script:
        "../../scripts/fit_published.py"


rule judge:
    """Learn whom to trust, and say how good everybody is."""
    input:
        unpack(vectors_of_works),
        unpack(trained_members),
        **what_models_see(HELD_OUT),
        rows=works_of("<results>/collections/{collection}.parquet"),
    output:
        evaluation=report(
            "<results>/recommend/{recommender}/evaluation.csv",
            caption="../report/recommend_evaluation.rst",
            category="Recommend",
            labels={"recommender": "{recommender}", "table": "evaluation"},
        ),
        evaluation_json="<results>/recommend/{recommender}/evaluation.json",
        reliability="<results>/recommend/{recommender}/reliability.csv",
        weights="<results>/recommend/{recommender}/weights.csv",
        stack="<results>/recommend/{recommender}/stack.safetensors",
        diagnostics="<results>/recommend/{recommender}/diagnostics.json",
    log:
        "<logs>/judge/{recommender}.log",
    benchmark:
        "<benchmarks>/judge/{recommender}.tsv"
    conda:
        "../../envs/recommend.yaml"
    threads: 2
    params:
        settings=lambda w: judge_settings(w.recommender),
        path=lambda w: recommend_settings(w.recommender, "path"),
        seed=config["seed"],
        code=code("judge.py"),
    script:
        "../../scripts/judge.py"


rule suggest_missing:
    """Suggest subjects for every work, each with a probability and a reason."""
    input:
        unpack(vectors_of_works),
        unpack(final_members),
        **what_models_see(FINAL),
        rows=works_of("<results>/collections/{collection}.parquet"),
        borne="<results>/recommend/{recommender}/borne.safetensors",
        stack="<results>/recommend/{recommender}/stack.safetensors",
        vocabulary="<results>/recommend/{recommender}/final/terms.json",
    output:
        suggestions=report(
            "<results>/recommend/{recommender}/suggestions.csv",
            caption="../report/suggestions.rst",
            category="Recommend",
            labels={"recommender": "{recommender}", "table": "suggestions"},
        ),
        parquet="<results>/recommend/{recommender}/suggestions.parquet",
    log:
        "<logs>/suggest_missing/{recommender}.log",
    benchmark:
        "<benchmarks>/suggest_missing/{recommender}.tsv"
    conda:
        "../../envs/recommend.yaml"
    threads: 2
    params:
        settings=lambda w: judge_settings(w.recommender),
        top=lambda w: config["recommend"][w.recommender]["top"],
        path=lambda w: recommend_settings(w.recommender, "path"),
        seed=config["seed"],
        code=code("suggest_missing.py"),
    script:
        "../../scripts/suggest_missing.py"


rule similar:
    """List similar works, and similar subjects."""
    input:
        **what_models_see(FINAL),
        rows=works_of("<results>/collections/{collection}.parquet"),
    output:
        works="<results>/recommend/{recommender}/similar_works.parquet",
        subjects="<results>/recommend/{recommender}/similar_subjects.parquet",
    log:
        "<logs>/similar/{recommender}.log",
    benchmark:
        "<benchmarks>/similar/{recommender}.tsv"
    conda:
        "../../envs/base.yaml"
    threads: 1
    params:
        k=lambda w: config["recommend"][w.recommender]["similar"],
        code=code("similar.py"),
    script:
        "../../scripts/similar.py"


rule subject_maps:
    """Draw maps of the works and of the subjects, near what is alike."""
    input:
        **what_models_see(FINAL),
        rows=works_of("<results>/collections/{collection}.parquet"),
    output:
        works="<results>/recommend/{recommender}/map_works.parquet",
        subjects="<results>/recommend/{recommender}/map_subjects.parquet",
        labels="<results>/recommend/{recommender}/map_labels.csv",
    log:
        "<logs>/subject_maps/{recommender}.log",
    benchmark:
        "<benchmarks>/subject_maps/{recommender}.tsv"
    conda:
        "../../envs/recommend.yaml"
    threads: 1
    params:
        seed=config["seed"],
        code=code("subject_maps.py"),
    script:
        "../../scripts/subject_maps.py"


rule suggest_new:
    """Suggest subjects for the works of a new file, by what was learned before."""
    input:
        unpack(vectors_of_works),
        unpack(final_members),
        **what_models_see(FINAL),
        new=lambda w: local(
            source_paths({"path": config["recommend"][w.recommender]["new"][w.file]})
        ),
        rows=works_of("<results>/collections/{collection}.parquet"),
        borne="<results>/recommend/{recommender}/borne.safetensors",
        stack="<results>/recommend/{recommender}/stack.safetensors",
        model="<results>/recommend/{recommender}/final/idf.safetensors",
        lexical=lambda w: lexical_works(w.recommender),
        vocabulary="<results>/recommend/{recommender}/final/terms.json",
    output:
        suggestions="<results>/recommend/{recommender}/new/{file}.csv",
        parquet="<results>/recommend/{recommender}/new/{file}.parquet",
        counts="<results>/recommend/{recommender}/new/{file}.counts.json",
    log:
        "<logs>/suggest_new/{recommender}/{file}.log",
    benchmark:
        "<benchmarks>/suggest_new/{recommender}/{file}.tsv"
    conda:
        "../../envs/recommend.yaml"
    threads: 2
    resources:
        api=lambda w: int(reads_vectors(config["recommend"][w.recommender])),
        gpu=lambda w: GPU * reads_vectors(config["recommend"][w.recommender]),
    params:
        settings=lambda w: judge_settings(w.recommender),
        vectors=lambda w: works_vectors(w.recommender),
        tags=lambda w: config["recommend"][w.recommender]["tags"],
        works=lambda w: works_settings(w.recommender),
        top=lambda w: config["recommend"][w.recommender]["top"],
        path=lambda w: recommend_settings(w.recommender, "path"),
        seed=config["seed"],
        code=code("suggest_new.py"),
    script:
        "../../scripts/suggest_new.py"
