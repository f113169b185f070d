"""What the timer does once a day beside looking at the archives: retention, cooling, and a look at the disk."""

from __future__ import annotations

from moon import audit
from moon.clock import format_ms, now_ms
from moon.config import Config
from moon.errors import MoonError
from moon.health import disk_use, health_file, noting
from moon.index.forgetting import clear
from moon.paths import Home
from moon.vault import retention
from moon.vault.catalog import Catalog, open_catalog
from moon.vault.cooling import cool
from moon.vault.ledger import Ledger
from moon.vault.retention import DAY_MS, facts_of

# Together with the look at the archives a tick may take so long once a day; the next day goes on.
COOL_SECONDS = 60.0
LET_GO_SECONDS = 60.0


def keep_house(home: Home, config: Config) -> list[MoonError]:
    """Do it, under the cycle lock; what went wrong. A failure of one part stops no other."""
    problems: list[MoonError] = []
    for part in (_let_go, _cool):
        try:
            with open_catalog(home) as catalog:
                problems += part(home, config, catalog)
        except MoonError as error:
            problems.append(error)
    note_disk(home, config)
    return problems


def _let_go(home: Home, config: Config, catalog: Catalog) -> list[MoonError]:
    if config.retention.delete == retention.NEVER:
        return []
    planned = retention.plan(
        catalog.segments(),
        config.retention,
        facts_of(home, config),
        now_ms(),
        lambda file: home.relative(file.path),
    )
    done = retention.let_go(catalog, config.retention, planned, LET_GO_SECONDS)
    if not done.files:
        return done.problems
    audit.record(home, "retention", "done", reason=done.describe())
    return [*done.problems, *clear(home, config, catalog, thorough=False).problems]


def _cool(home: Home, config: Config, catalog: Catalog) -> list[MoonError]:
    if not config.archive.cool_days:
        return []
    done = cool(catalog, format_ms(now_ms() - config.archive.cool_days * DAY_MS), COOL_SECONDS)
    if done.files:
        audit.record(home, "cool", "done", reason=done.describe())
    return done.problems


def note_disk(home: Home, config: Config) -> None:
    """Let `notify.command` hear of a disk that fills up, and of a budget that is nearly used."""
    use = disk_use.look(home)
    growth = disk_use.growth(use, Ledger(home.ledger).archives(), now_ms())
    errors = list(disk_use.troubles(home, config, use, growth))
    noting.note_check(home, config, disk_use.STATION, errors, {str(home.root)}, dict(health_file.read(home).checked))
