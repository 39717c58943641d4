"""Which files of a data set belong to the participants and stories that somebody asks for."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from neuroling.data.cards import Card, CardFile


def select_files(
    entry: Card, *, subjects: Collection[str] = (), stories: Collection[str] = (), optional_parts: Collection[str] = ()
) -> list[CardFile]:
    """List the files of some participants and stories, with those that all share.

    Parameters
    ----------
    entry : Card
        The data set.
    subjects, stories : collection of str
        Which ones; none for all of them.
    optional_parts : collection of str
        Optional parts besides what the loader reads.

    Returns
    -------
    list of CardFile
        In the order of the card.

    Raises
    ------
    ValueError
        If there is no such participant, story or part, or a participant has no file of a story.

    Examples
    --------
    >>> from neuroling.data.cards import card
    >>> files = select_files(card("lebel2023"), subjects=["UTS03"], stories=["wheretheressmoke"])
    >>> [file.path.rpartition("/")[2] for file in files]
    ['wheretheressmoke.TextGrid', 'wheretheressmoke.hf5', 'respdict.json']
    """
    for kind, requested in (("subject", subjects), ("story", stories), ("part", optional_parts)):
        _check_known(entry, kind, requested)
    _check_pairs(entry, subjects, stories)
    recorded_stories = {story for subject in subjects for story in names_of(entry, "story", subject=subject)}
    needed_stories = set(stories) or recorded_stories  # files that all share are taken of these stories only
    return [
        file
        for file in entry.files
        if (file.part is None or file.part in optional_parts)
        and (file.subject is None or not subjects or file.subject in subjects)
        and (file.story is None or not needed_stories or file.story in needed_stories)
    ]


def names_of(entry: Card, kind: str, *, subject: str | None = None) -> list[str]:
    """List the participants, stories or parts of a data set.

    Parameters
    ----------
    entry : Card
        The data set.
    kind : {"subject", "story", "part"}
        What to list.
    subject : str, optional
        Only what this participant has files of.

    Returns
    -------
    list of str
        In order of first appearance on the card.
    """
    files = [file for file in entry.files if subject is None or file.subject == subject]
    return list(dict.fromkeys(value for file in files if (value := getattr(file, kind)) is not None))


def _check_known(entry: Card, kind: str, requested: Collection[str]) -> None:
    if isinstance(requested, str):
        raise TypeError(f"{kind}: got a single str; expected a list of names. Wrap it in a list.")
    names = names_of(entry, kind)
    unknown = [name for name in requested if name not in names]
    if unknown:
        raise ValueError(f"{kind}: {entry.name} has no {', '.join(unknown)}; it has {', '.join(names) or 'none'}.")


def _check_pairs(entry: Card, subjects: Sequence[str] | Collection[str], stories: Collection[str]) -> None:
    """Refuse a story of which a participant has no file, where other participants have."""
    recorded = {(file.subject, file.story) for file in entry.files if file.subject and file.part is None}
    with_story = {story for _, story in recorded}
    for subject in subjects:
        missing = [story for story in stories if story in with_story and (subject, story) not in recorded]
        if missing:
            subject_stories = [story for who, story in sorted(recorded, key=str) if who == subject]
            raise ValueError(
                f"story: {subject} of {entry.name} has no recording of {', '.join(missing)}; it has "
                f"{len(subject_stories)}: {', '.join(map(str, subject_stories))}."
            )
