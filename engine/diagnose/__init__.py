"""What may be wrong, one question a file: `TITLE`, `applies(facts)`, `check(facts)`.

    facts.py       what the checks are given
    run.py         gathers the facts, asks every question
    bundle.py      one file with everything for a bug report
    harmless.py    what of dockerd goes into it
    redact.py      keeps secrets out of it

To add a check: write its file and name it in `run.CHECKS`.
"""
