"""References of what a result really used, found in its record, with BibTeX."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from neuroling.core.provenance import Provenance


class Reference(NamedTuple):
    """A publication and the words in a record that say that it was used.

    Attributes
    ----------
    key : str
        Of the BibTeX entry.
    text : str
        As it stands in a list of references.
    bibtex : str
        The entry.
    names : tuple of str
        Names of classes, functions or packages; any of them in the record means that it was used.

    Examples
    --------
    >>> data = Reference("me2026", "Me (2026). My data. Zenodo.", "@misc{me2026, title = {My data}}")
    >>> data.key
    'me2026'
    """

    key: str
    text: str
    bibtex: str
    names: tuple[str, ...] = ()


def _article(key: str, names: Sequence[str], author: str, year: int, title: str, journal: str, pages: str) -> Reference:
    bibtex = (
        f"@article{{{key},\n  author = {{{author}}},\n  title = {{{title}}},\n  journal = {{{journal}}},\n"
        f"  year = {{{year}}},\n  pages = {{{pages}}}\n}}"
    )
    listed = author.replace(" and ", "; ")
    return Reference(key, f"{listed} ({year}). {title}. {journal}, {pages}.", bibtex, tuple(names))


METHODS = (
    _article(
        "hoerl1970",
        ("Ridge", "RidgeCV", "LeaveOneOutRidgeCV", "BandedRidgeCV"),
        "Hoerl, A. E. and Kennard, R. W.",
        1970,
        "Ridge regression: Biased estimation for nonorthogonal problems",
        "Technometrics 12",
        "55-67",
    ),
    _article(
        "dupre2022",
        ("BandedRidgeCV",),
        "Dupré la Tour, T. and Eickenberg, M. and Nunez-Elizalde, A. O. and Gallant, J. L.",
        2022,
        "Feature-space selection with banded ridge regression",
        "NeuroImage 264",
        "119728",
    ),
    _article(
        "crosse2016",
        ("TRF",),
        "Crosse, M. J. and Di Liberto, G. M. and Bednar, A. and Lalor, E. C.",
        2016,
        "The multivariate temporal response function (mTRF) toolbox",
        "Frontiers in Human Neuroscience 10",
        "604",
    ),
    _article(
        "kriegeskorte2008",
        ("FixedRDM", "rho-a", "rdms"),
        "Kriegeskorte, N. and Mur, M. and Bandettini, P.",
        2008,
        "Representational similarity analysis: connecting the branches of systems neuroscience",
        "Frontiers in Systems Neuroscience 2",
        "4",
    ),
    _article(
        "walther2016",
        ("crossnobis",),
        "Walther, A. and Nili, H. and Ejaz, N. and Alink, A. and Kriegeskorte, N. and Diedrichsen, J.",
        2016,
        "Reliability of dissimilarity measures for multi-voxel pattern analysis",
        "NeuroImage 137",
        "188-200",
    ),
    _article(
        "nili2014",
        ("LeaveOneOutCeiling",),
        "Nili, H. and Wingfield, C. and Walther, A. and Su, L. and Marslen-Wilson, W. and Kriegeskorte, N.",
        2014,
        "A toolbox for representational similarity analysis",
        "PLOS Computational Biology 10",
        "e1003553",
    ),
    _article(
        "schoppe2016",
        ("ExplainableVarianceCeiling",),
        "Schoppe, O. and Harper, N. S. and Willmore, B. D. B. and King, A. J. and Schnupp, J. W. H.",
        2016,
        "Measuring the performance of neural models",
        "Frontiers in Computational Neuroscience 10",
        "10",
    ),
    _article(
        "mitchell2008",
        ("LeavePOut", "two_vs_two", "2-versus-2"),
        "Mitchell, T. M. and Shinkareva, S. V. and Carlson, A. and others",
        2008,
        "Predicting human brain activity associated with the meanings of nouns",
        "Science 320",
        "1191-1195",
    ),
    _article(
        "maris2007",
        ("Clusters",),
        "Maris, E. and Oostenveld, R.",
        2007,
        "Nonparametric statistical testing of EEG- and MEG-data",
        "Journal of Neuroscience Methods 164",
        "177-190",
    ),
    _article(
        "baayen2008",
        ("MixedModel", "mixed_model"),
        "Baayen, R. H. and Davidson, D. J. and Bates, D. M.",
        2008,
        "Mixed-effects modeling with crossed random effects for subjects and items",
        "Journal of Memory and Language 59",
        "390-412",
    ),
    _article(
        "wang2024",
        ("load_confounds", "strategy"),
        "Wang, H.-T. and Meisler, S. L. and Sharmarke, H. and others",
        2024,
        "Continuous evaluation of denoising strategies in resting-state fMRI connectivity using fMRIPrep and Nilearn",
        "PLOS Computational Biology 20",
        "e1011942",
    ),
    _article(
        "mumford2012",
        ("lss", "lsa"),
        "Mumford, J. A. and Turner, B. O. and Ashby, F. G. and Poldrack, R. A.",
        2012,
        "Deconvolving BOLD activation in event-related designs for multivoxel pattern classification analyses",
        "NeuroImage 59",
        "2636-2643",
    ),
    _article(
        "wang2020",
        ("minilm",),
        "Wang, W. and Wei, F. and Dong, L. and Bao, H. and Yang, N. and Zhou, M.",
        2020,
        "MiniLM: Deep self-attention distillation for task-agnostic compression of pre-trained transformers",
        "Advances in Neural Information Processing Systems 33",
        "5776-5788",
    ),
)
"""Publications of methods, and what in a record means that they were used."""

SOFTWARE = (
    _article(
        "harris2020",
        ("numpy",),
        "Harris, C. R. and others",
        2020,
        "Array programming with NumPy",
        "Nature 585",
        "357-362",
    ),
    _article(
        "virtanen2020",
        ("scipy",),
        "Virtanen, P. and others",
        2020,
        "SciPy 1.0: fundamental algorithms for scientific computing in Python",
        "Nature Methods 17",
        "261-272",
    ),
    _article(
        "hoyer2017",
        ("xarray",),
        "Hoyer, S. and Hamman, J.",
        2017,
        "xarray: N-D labeled arrays and datasets in Python",
        "Journal of Open Research Software 5",
        "10",
    ),
    _article(
        "pedregosa2011",
        ("scikit-learn",),
        "Pedregosa, F. and others",
        2011,
        "Scikit-learn: Machine learning in Python",
        "Journal of Machine Learning Research 12",
        "2825-2830",
    ),
)
"""Publications of packages that compute every result."""


def references_of(records: Iterable[Provenance], extra: Sequence[Reference] = ()) -> list[Reference]:
    """Choose the publications of what was used.

    Parameters
    ----------
    records : iterable of Provenance
        Records of results.
    extra : sequence of Reference
        Further ones, such as that of the data.

    Returns
    -------
    list of Reference
        In the order of their keys, each once.

    Examples
    --------
    >>> record = Provenance(options={"model": "RidgeCV(alphas=[1.0])"}, versions={"numpy": "2.0"})
    >>> [reference.key for reference in references_of([record])]
    ['harris2020', 'hoerl1970']
    """
    import re

    words: set[str] = set()
    packages: set[str] = set()
    for record in records:
        said = " ".join([*record.options.values(), *record.data.values(), *record.data, *record.options])
        words |= set(re.findall(r"[\w-]+", said))
        packages |= set(record.versions)
    used = [one for one in METHODS if words & set(one.names)] + [one for one in SOFTWARE if packages & set(one.names)]
    return sorted({one.key: one for one in [*used, *extra]}.values(), key=lambda one: one.key)


def bibtex_of(references: Iterable[Reference]) -> str:
    """Join BibTeX entries to a file's content.

    Parameters
    ----------
    references : iterable of Reference

    Returns
    -------
    str
    """
    return "\n\n".join(reference.bibtex for reference in references) + "\n"
