"""The embedded full-text index: one SQLite file with FTS5 over every message, call and result in the archives.

Derived: `moon-index --rebuild` makes it again. `moon-index` writes, everything else reads.
"""

from moon.fulltext.engine import READ_FOR_PHRASES, IndexWriter, Moved, SearchIndex
from moon.fulltext.index_reader import TextIndex, open_reader
from moon.fulltext.index_rows import (
    EventPlace,
    Filters,
    IndexBusy,
    IndexCorrupt,
    IndexMissing,
    IndexVersion,
    MessageRow,
    Place,
    SegmentSource,
    Shape,
    StoredRow,
)
from moon.fulltext.index_writer import TextIndexWriter, open_next, open_writer, rebuilding, take_place

__all__ = [
    "READ_FOR_PHRASES",
    "EventPlace",
    "Filters",
    "IndexBusy",
    "IndexCorrupt",
    "IndexMissing",
    "IndexVersion",
    "IndexWriter",
    "MessageRow",
    "Moved",
    "Place",
    "SearchIndex",
    "SegmentSource",
    "Shape",
    "StoredRow",
    "TextIndex",
    "TextIndexWriter",
    "open_next",
    "open_reader",
    "open_writer",
    "rebuilding",
    "take_place",
]
