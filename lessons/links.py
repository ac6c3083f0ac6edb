"""Mentions in a lesson's prose become links when its notebook is made.

    (7.3)                        to that equation, in this lesson or another
    a word of the glossary       to glossary.md, at its first mention in a lesson
    `python examples/wgan.py`    to that file; also `kernels/conv2d.cu`
    Ho et al. (2020), *title*    to the paper, where papers.md lists it; also arXiv:1701.07875
    lesson 9                     to that lesson, at its first mention

Nothing changes in code, mathematics, headings, quotations and in what is a link already. (A box
"> **Predict, then run.** ..." is no quotation.)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

HERE = Path(__file__).resolve().parent
TAG = re.compile(r"\\tag\{(\d+)\.(\d+)\}")
KEPT = re.compile(
    r"(?P<predict>^> \*\*Predict[^\n]*(?:\n>[^\n]*)*)|```.*?```|(?P<code>`[^`\n]+`)"
    r"|\$\$.*?\$\$|(?<!\\)\$(?!\$)[^$]+?(?<!\\)\$"
    r"|!?\[[^\]]*\]\([^)]*\)|<[^>\n]+>|https?://\S+|^(?:#{1,6} |>)[^\n]*$",
    re.DOTALL | re.MULTILINE,
)
EQUATION = r"(?<!\d )\((\d{1,2}\.\d{1,2})\)"  # 22.2 (0.5): a number and its error
FILE = re.compile(r"(?:^|\bpython )((?:examples/\w+\.py|kernels/[\w/]+\.cuh?))\b")
ROW = re.compile(r"^\| (?!-)(.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)


class Links:
    """Makes links in one lesson's Markdown, cell after cell, from the top."""

    def __init__(self, source: Path) -> None:
        self.stem = source.stem
        self.number = int(self.stem[:2])
        self.seen = {str(self.number)}  # no link to itself
        self.reading = False  # in the list of further reading: titles, no words

    def __call__(self, text: str) -> str:
        parts, end = [], 0
        for kept in KEPT.finditer(text):
            parts += [self._prose(text[end : kept.start()]), self._kept(kept)]
            end = kept.end()
        return _anchored("".join([*parts, self._prose(text[end:])]))

    def _kept(self, kept: re.Match[str]) -> str:
        if kept["predict"]:
            inside = self(re.sub(r"^> ?", "", kept[0], flags=re.MULTILINE))
            return re.sub(r"^", "> ", inside, flags=re.MULTILINE)
        if kept[0].startswith("#"):
            self.reading = "Further reading" in kept[0]
        found = FILE.search(kept["code"].strip("`")) if kept["code"] else None
        foreign = kept.string[: kept.start()].endswith("'s ")  # "DeZero's `examples/vae.py`"
        if found is None or foreign or not (HERE.parent / found[1]).is_file():
            return kept[0]
        return f"[{kept[0]}](../{found[1]})"

    def _prose(self, text: str) -> str:
        return _mentions().sub(self._mention, text)

    def _mention(self, found: re.Match[str]) -> str:
        said = found[0]
        if found["equation"]:
            number = found["equation"].strip("()")
            stem = _equations().get(number)
            file = "" if stem == self.stem else f"{stem}.ipynb"
            return f"[{said}]({file}#eq-{number})" if stem else said
        if found["arxiv"]:
            return f"[{said}](https://arxiv.org/abs/{said.partition(':')[2]})"
        if found["paper"]:
            return f"[{said}]({_papers()[_plain(said)]})"
        if found["lesson"]:
            key = said.split()[-1]
            target = f"{_lessons().get(key)}.ipynb"
            known = key in _lessons()
        else:
            key = next(word for word in (said.lower(), said.lower()[:-1]) if word in _words())
            target = f"glossary.md#{_slug(key)}"
            known = self.number >= _words()[key] and not self.reading
        if key in self.seen or not known:
            return said
        self.seen.add(key)
        return f"[{said}]({target})"


def _anchored(text: str) -> str:
    """An anchor before each tagged equation, at the end of the paragraph there if it has one."""
    parts = re.split(r"(^\$\$\n.*?^\$\$$)", text, flags=re.DOTALL | re.MULTILINE)
    for k in range(1, len(parts), 2):
        tag = TAG.search(parts[k])
        if tag and f'id="eq-{tag[1]}.{tag[2]}"' not in text:
            before = parts[k - 1].rstrip()
            beside = before and not re.match(r"[#>|`]", before.rpartition("\n")[2])
            gap = " " if beside else "\n\n" if k > 1 or before else ""
            parts[k - 1] = f'{before}{gap}<a id="eq-{tag[1]}.{tag[2]}"></a>\n\n'
    return "".join(parts)


@cache
def _equations() -> dict[str, str]:
    """For each tag "7.3" the lesson that holds it."""
    return {
        f"{tag[0]}.{tag[1]}": source.stem
        for source in sorted((HERE / "src").glob("[0-9]*.py"))
        for tag in TAG.findall(source.read_text(encoding="utf-8"))
    }


@cache
def _lessons() -> dict[str, str]:
    return {str(int(p.stem[:2])): p.stem for p in sorted((HERE / "src").glob("[0-9]*.py"))}


@cache
def _papers() -> dict[str, str]:
    """The address of a paper, by how it is cited ("ho et al. 2020") and by its title."""
    found = {}
    for cited, title, address in _rows("papers.md"):
        found |= {_plain(name): address for name in [*cited.split("; "), f"*{title}*"] if name}
    return found


@cache
def _words() -> dict[str, int]:
    """The words of the glossary, in small letters, and the lesson from which on they are links."""
    rows = list(_rows("glossary.md", after="## Words"))
    return {re.sub(r"<[^>]*>", "", word).lower(): int(first) for word, _, first in rows}


def _rows(name: str, after: str = "") -> Iterator[tuple[str, str, str]]:
    text = (HERE / name).read_text(encoding="utf-8").partition(after or "# ")[2]
    yield from ROW.findall(text)[1:]


@cache
def _mentions() -> re.Pattern[str]:
    def phrase(words: str) -> str:
        *names, year = words.split()
        if not year.isdigit():
            return r"\s+".join(map(re.escape, words.split()))
        return r"\s+".join(map(re.escape, names)) + rf",?\s+(?:{year}|\({year}\))"

    papers = "|".join(phrase(paper) for paper in sorted(_papers(), key=len, reverse=True))
    words = "|".join(re.escape(word) for word in sorted(_words(), key=len, reverse=True))
    return re.compile(
        rf"(?P<equation>{EQUATION})|(?P<arxiv>arXiv:\d{{4}}\.\d{{4,5}})|(?P<paper>(?<!\w)(?:{papers}))"
        rf"|(?P<lesson>\blesson\s+\d+\b)|(?<![\w-])(?P<word>(?:{words})s?)(?![\w-])",
        re.IGNORECASE,
    )


def _plain(said: str) -> str:
    """A citation without brackets and commas before the year, in small letters."""
    words = " ".join(said.lower().split())
    return re.sub(r",? \(?(\d{4})\)?$", r" \1", words)


def _slug(word: str) -> str:
    return re.sub(r"\W+", "-", word.lower())
