"""`moon-mirror --restore` and `--list`: on a machine that may know nothing yet."""

from __future__ import annotations

import argparse
from pathlib import Path

from moon import config as configuration
from moon import output
from moon.cli.mirror import finish
from moon.clock import now_ms, parse_ms
from moon.copies import copy_head
from moon.copies.copy_errors import CopyDamaged, CopyFailed
from moon.copies.copy_head import Head
from moon.copies.copy_settings import CopySettings, copies_of
from moon.copies.place import Place, open_place
from moon.copies.sealing import Age, Seal, Unsealed, read_identities
from moon.errors import FAILED, ConfigInvalid, MoonError, UsageWrong
from moon.mirror import restoring
from moon.mirror.mirror_station import OPERATION_SECONDS
from moon.paths import Home
from moon.report import Report
from moon.text import counted, readable_size, span

Source = tuple[str, CopySettings]


def restore(options: argparse.Namespace) -> int:
    """A whole home in a new folder: files, ledger, host, and the index made anew."""
    report = Report("moon-mirror")
    settings = _source(Home.from_environment(), options)
    place = open_place(settings.url, seconds=OPERATION_SECONDS)
    host = restoring.choose_host(place, options.host)
    home = Home(Path(options.restore).expanduser().absolute())
    restoring.refuse_what_is_used(home, place.url, host)
    head = _head(place, host)
    seal = _seal(settings, options, head)
    copied = restoring.read_copy(place, host, seal)
    done = restoring.restore(place, copied, seal, home, head, past=options.past)
    for error in (*copied.problems, *done.lost):
        report.fail(error)
    for words in restoring.is_sound(home):
        report.fail(CopyDamaged(f"ledger: {words}", path=str(home.ledger)))
    report.changed = True
    report.details = [
        {"host": host, "home": str(home.root), "files": done.files, "kept": done.kept, "bytes": done.bytes}
    ]
    report.outcome = f"{host} restored into {home.root}: {counted(done.files + done.kept, 'file')} "
    report.outcome += f"({readable_size(done.bytes)} fetched), {len(report.errors)} problems"
    if not options.no_index:
        _make_index(home, report)
    output.say(f"go on with it: export MOON_HOME={home.root}; `moon-install` starts the timer")
    return finish(report, options.json)


def _source(home: Home, options: argparse.Namespace) -> CopySettings:
    """Where to restore from: what is named, with the configuration of that place where there is one."""
    try:
        known = copies_of(configuration.load(home))
    except ConfigInvalid:
        known = []
    if options.source:
        url = options.source.rstrip("/")
        return next((each for each in known if each.url == url), CopySettings(url, "any"))
    if len(known) != 1:
        raise UsageWrong("which copy?", hint="name it: --from s3://bucket/prefix, or file:///folder")
    return known[0]


def _head(place: Place, host: str) -> Head | None:
    try:
        return copy_head.read_head(place, host)
    except CopyDamaged:
        return None


def _seal(settings: CopySettings, options: argparse.Namespace, head: Head | None) -> Seal:
    """How to open the copy: by what its head says, or else by what is at hand."""
    files = [options.identity] if options.identity else list(settings.identity_files)
    identities = read_identities(files, settings.identity_command)
    is_sealed = head["sealed"] if head else bool(identities)
    return Age((), identities) if is_sealed else Unsealed()


def _make_index(home: Home, report: Report) -> None:
    """The index of the new home. What is wrong with it costs nothing that cannot be made again."""
    from moon.cli.index import rebuild_all

    try:
        config = configuration.load(home)
    except MoonError as error:
        config = configuration.defaults()
        report.fail(error)
    try:
        made = rebuild_all(home, config, wait_seconds=60)
        report.errors += made.errors
        report.outcome += f"; {made.outcome}"
    except MoonError as error:
        report.fail(error)


def list_hosts(home: Home, options: argparse.Namespace) -> int:
    """Every host in every place, a line each."""
    report, worked = Report("moon-mirror"), 0
    urls = [options.source.rstrip("/")] if options.source else []
    urls = urls or [each.url for each in copies_of(configuration.load(home))]
    for url in urls:
        try:
            place = open_place(url, seconds=OPERATION_SECONDS)
            for host, head in copy_head.read_heads(place):
                _add(report, url, host, head)
            worked += 1
        except MoonError as error:
            report.fail(error)
    report.outcome = f"{counted(len(report.details), 'host')} in {counted(len(urls), 'place')}"
    if not options.json:
        output.tell(*[_line(each) for each in report.details])
    code = finish(report, options.json)
    return code if worked or not urls else FAILED


def _add(report: Report, url: str, host: str, head: Head | CopyFailed) -> None:
    if isinstance(head, CopyFailed):
        report.fail(head)
        return
    report.details.append({"url": url, **head})


def _line(head: Head) -> str:
    age = span(max(0, now_ms() - (parse_ms(head["updated_at"]) or 0)) // 1000)
    left = f", {head['behind']} lines behind" if head["behind"] else ""
    left += f", {head['missing']} archives missing" if head["missing"] else ""
    size = f"{counted(head['objects'], 'object')} of {readable_size(head['bytes'])}"
    return f"{head['host']:<40} {size}, copied {age} ago{left}"
