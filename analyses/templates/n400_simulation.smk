# The whole of NAME is one job. Here: snakemake --cores 2. On Slurm: add --profile with the path that this prints:
#   python -c "from neuroling import workflow; print(workflow.profile('slurm-cpu'))"
rule all:
    input:
        "results/result.nc",


rule study:
    output:
        "results/result.nc",
    threads: 2
    resources:
        mem_mb=8000,
        runtime=120,
    shell:
        "neuroling run NAME.py --out results"
