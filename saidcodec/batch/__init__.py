"""Many files: which there are, what becomes of each, and who does it (docs/many.md).

``jobs``: from paths to jobs, each with its output's name.  ``work``: what is common to all kinds of work, and
the outcome of a job.  ``encoding``, ``decoding``: the kinds.  ``running``: jobs done by processes of this
machine, or by whatever else has the interface of ``concurrent.futures``.  ``cluster``: a Dask cluster, which
has.
"""
