"""The files and the long pastes that the recorded dialogues talk about, the same on every run.

The two scenes are invented: a network of weather stations (for the SQLite store) and a shop for bicycle parts
(for the JSONL store). Numbers that a dialogue quotes are made here, so that its answers are true.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

Lines = Iterator[str]


def minutes(start: str, count: int) -> Iterator[str]:
    """`count` clock times, one a minute."""
    hour, minute = (int(part) for part in start.split(":"))
    for offset in range(count):
        total = (hour * 60 + minute + offset) % 1440
        yield f"{total // 60:02d}:{total % 60:02d}"


def between(time: str, first: str, last: str) -> bool:
    """Whether a clock time lies in a span, both ends in."""
    return first <= time <= last


def station_night(dice: random.Random, count: int) -> Lines:
    """WX-11 in the storm: gaps 23:14-23:21, 01:02-01:05 and 03:40-03:58."""
    gaps = (("23:14", "23:21"), ("01:02", "01:05"), ("03:40", "03:58"))
    for time in minutes("22:00", count):
        if any(between(time, *gap) for gap in gaps):
            continue
        wind = dice.uniform(38, 44) if time.startswith("03:") else dice.uniform(14, 33)
        yield (
            f"{time} WX-11 p={968 + dice.uniform(-4, 4):.2f}hPa t={dice.uniform(1, 4):.1f}C wind={wind:.1f}m/s "
            f"dir={dice.randrange(240, 310)} rh={dice.randrange(82, 99)}%"
        )


def heater(dice: random.Random, count: int) -> Lines:
    """The camera heater whose contact welds at 02:11."""
    housing = 6.0
    for time in minutes("00:00", count):
        stuck = time >= "02:11"
        duty = 100 if stuck else dice.choice((0, 0, 40, 60))
        housing += 0.2 if stuck else dice.uniform(-0.1, 0.1)
        yield (
            f"{time} heater-south duty={duty:3d}% housing={housing:5.1f}C outside={dice.uniform(-6, -3):.1f}C "
            f"contact={'closed' if duty else 'open'} supply={dice.uniform(23.6, 24.3):.2f}V"
        )


def uplink(dice: random.Random, count: int) -> Lines:
    """Relay-north restarts at 00:05, 02:35 and 05:10, each after a silence."""
    restarts = ("00:05", "02:35", "05:10")
    for time in minutes("00:00", count):
        if time in restarts:
            yield f"{time} relay-north WATCHDOG no frame for 301 s, restarting relay-uplink (attempt 1)"
        else:
            yield (
                f"{time} relay-north uplink up rssi=-{dice.randrange(71, 89)} frames={dice.randrange(0, 9)} "
                f"bytes={dice.randrange(120, 900)} queue={dice.randrange(0, 3)}"
            )


def packets(dice: random.Random, count: int) -> Lines:
    """A packet capture: keepalives, and bursts after two restarts."""
    for number, time in enumerate(minutes("00:00", count)):
        burst = time in ("00:05", "02:35")
        yield (
            f"{time} #{number:05d} 10.77.4.12 > 10.77.9.1:8883 len={dice.randrange(1180, 1460) if burst else 52} "
            f"flags={'PA' if burst else 'A'} seq={dice.randrange(10**8, 10**9)} {'data' if burst else 'keepalive'}"
        )


def bench(dice: random.Random, count: int, slope: float, scatter: float, sensor: str) -> Lines:
    """A comparison on the observatory bench."""
    for number in range(count):
        kelvin = 273.15 - 20 + 40 * number / count
        reference = 951.2 + dice.uniform(-0.4, 0.4)
        offset = slope * (kelvin - 273.15) + dice.gauss(0, scatter)
        yield (
            f"run={number:04d} sensor={sensor} T={kelvin:.2f}K ref={reference:.3f} read={reference + offset:.3f} "
            f"diff={offset:+.4f}"
        )


def shop_access(dice: random.Random, count: int) -> Lines:
    """An access log with a crawler between 02:00 and 05:00."""
    for number, time in enumerate(minutes("01:00", count)):
        if between(time, "02:00", "05:00") and number % 4:
            keys = "&".join(f"f{key}={dice.randrange(99)}" for key in range(dice.randrange(4, 10)))
            yield f'{time} 203.0.113.77 "GET /filter?{keys}" 200 {dice.randrange(900, 1900)}ms session=-'
        else:
            path = dice.choice(("/", "/cart", "/part/KT-118", "/part/BR-20", "/help/returns"))
            yield (
                f'{time} 198.51.100.{dice.randrange(2, 250)} "GET {path}" 200 {dice.randrange(20, 90)}ms '
                f"session=s{number:05d}"
            )


def checkout_access(dice: random.Random, count: int) -> Lines:
    """The checkout's log: two callbacks time out and are repeated."""
    for time in minutes("01:00", count):
        late = time in ("03:12", "03:47")
        step = (
            "/payment/callback" if late else dice.choice(("/cart", "/address", "/payment/start", "/payment/callback"))
        )
        yield (
            f'{time} checkout "POST {step}" {504 if late else 200} {30000 if late else dice.randrange(40, 300)}ms '
            f"attempt={1 if late else dice.choice((1, 1, 2))} "
            f"order=20260{dice.randrange(600, 612)}-{dice.randrange(9999):04d}"
        )


def database_log(dice: random.Random, count: int) -> Lines:
    """Statements on staging; one of them is slow."""
    for number, time in enumerate(minutes("10:00", count)):
        slow = number == 137
        what = "rebuild table price (exclusive lock)" if slow else f"update product set rounding=1 where shard={number}"
        yield f"{time} staging migration 0042_rounding: {what} took {41000 if slow else dice.randrange(3, 700)} ms"


def deployment(dice: random.Random, count: int) -> Lines:
    """A deployment without errors."""
    for number, time in enumerate(minutes("03:30", count)):
        what = "migration 0042_rounding done in 39 s" if number == 1 else f"release 8.14 node n{number % 4} healthy"
        load = f"p95={dice.randrange(80, 140)}ms requests={dice.randrange(90, 700)}"
        yield f"{time} deploy-8.14-r2 {what} errors=0 {load}"


def queue(dice: random.Random, count: int) -> Lines:
    """A worker queue that drains in four minutes."""
    for number, time in enumerate(minutes("03:34", count)):
        waiting = max(640 - 160 * number, 0) + dice.randrange(0, 9)
        oldest = f"oldest={dice.randrange(0, 20)}s retried={dice.randrange(0, 2)}"
        yield f"{time} queue=orders waiting={waiting} workers=6 {oldest}"


def disk(dice: random.Random, count: int) -> Lines:
    """A disk that fills by 0.9 GB a day."""
    for hour in range(count):
        free = 46.4 - 0.9 * hour / 24 + dice.uniform(-0.05, 0.05)
        state = f"free={free:.2f}GB inodes={dice.randrange(71, 74)}% write={dice.uniform(1, 9):.1f}MB/s"
        yield f"hour={hour:04d} old-1 /var/lib/db {state}"


def replica(dice: random.Random, count: int) -> Lines:
    """A replica that somebody paused at 04:20."""
    for time in minutes("00:00", count):
        paused = time >= "04:20"
        what = "paused by operator" if paused else f"applied lag={dice.randrange(0, 3)}s"
        yield f"{time} copy-1 replication {what} position=0x{dice.randrange(16**8):08x} source=old-1"


PASTES: dict[str, Callable[[random.Random, int], Lines]] = {
    "wx-11": station_night,
    "heater-south": heater,
    "uplink": uplink,
    "packets": packets,
    "bench": lambda dice, count: bench(dice, count, 0.004, 0.02, "BMR-3380"),
    "bench-new": lambda dice, count: bench(dice, count, 0.0, 0.01, "BMR-3400"),
    "shop": shop_access,
    "checkout": checkout_access,
    "staging": database_log,
    "deploy": deployment,
    "queue": queue,
    "disk": disk,
    "replica": replica,
}


def paste(name: str, count: int) -> str:
    """A long text that somebody pasted into the chat."""
    return "\n".join(PASTES[name](random.Random(name), count))


def stations() -> str:
    """The inventory: six old firmwares, four weak batteries."""
    dice = random.Random("stations")
    old = {3: "4.1.8", 7: "4.0.9", 11: "4.1.2", 14: "4.0.9", 19: "4.1.8", 22: "4.1.2"}
    weak = {5: 12.0, 9: 11.6, 14: 11.8, 20: 11.9}
    lines = ["id,name,altitude_m,firmware,battery_v,relay"]
    for number in range(1, 25):
        relay = "relay-north" if number in (7, 14) or number % 5 == 0 else "relay-south"
        voltage = weak.get(number, round(dice.uniform(12.3, 12.9), 1))
        altitude = 640 + 61 * number
        lines.append(f"WX-{number:02d},post {number},{altitude},{old.get(number, '4.2.0')},{voltage},{relay}")
    return "\n".join(lines) + "\n"


def wx07() -> str:
    """A log in which the barometer fails 41 times."""
    lines = [f"2026-11-{day:02d} 06:00 WX-07 OK p=902.{day:02d}" for day in range(1, 5)]
    lines += [
        f"2026-11-05 {hour:02d}:{minute:02d} WX-07 ERR BARO-17" for hour in range(10) for minute in (0, 15, 30, 45)
    ]
    lines += ["2026-11-05 10:00 WX-07 ERR BARO-17 self test failed", "2026-11-05 10:01 WX-07 using last good value"]
    return "\n".join(lines) + "\n"


def drift() -> str:
    """Offsets that grow by 0.021 hPa a month."""
    dice = random.Random("drift")
    rows = [f"WX-{n:02d},{n * 2},{0.021 * n * 2 + dice.gauss(0, 0.02):.3f}" for n in range(1, 25)]
    rows[13] = "WX-14,28,0.912"
    return "station,months,offset_hpa\n" + "\n".join(rows) + "\n"


UPGRADE = """#!/bin/sh
# upgrade.sh [--dry-run] STATION...
dry=
[ "$1" = --dry-run ] && { dry=yes; shift; }
[ $# -gt 3 ] && { echo 'upgrade: at most three stations a day' >&2; exit 3; }
mkdir -p state
for station in "$@"; do
    echo "$station: fetch 4.2.1, flash, restart${dry:+ (dry run)}"
    [ -n "$dry" ] || echo "$station 4.2.1" >> state/upgraded.txt
done
"""
RELAY = """# relay-north
[uplink]
server = "10.77.9.1"
port = 8883
keepalive_s = 600
retry_s = 30
watchdog_s = 300
maintenance_port = 5022
[modem]
modem = "LX-430"
modem_serial = "8841-0027-X"
sim_profile = "valley-m2m-2"
"""
CHECK_RELEASE = """#!/bin/sh
file=releases/$1.txt
for migration in $(sed -n 's/^migration \\([^ ]*\\).*/\\1/p' "$file"); do
    grep -q "^rollback $migration" "$file" || { echo "check: $migration has no rollback" >&2; exit 2; }
done
echo "check: $1 is complete"
"""

WORKSPACES: dict[str, dict[str, dict[str, str]]] = {
    "sqlite": {
        "main": {
            "stations.csv": stations(),
            "logs/wx-07.log": wx07(),
            "logs/wx-09.log": "".join(
                f"2026-11-0{d} 02:00 WX-09 {v} V\n" for d, v in ((1, 11.52), (2, 11.49), (3, 11.47))
            ),
            "tools/upgrade.sh": UPGRADE,
            "state/serviced.txt": "WX-01\nWX-02\nWX-04\nWX-06\nWX-18\n",
        },
        "ops": {
            "config/relay.toml": RELAY,
            "backup/relay-2026-10.toml": RELAY,
            "config/backup.conf": "target=/srv/archive/measurements\nvolume=tarn-cold\nat=01:30\nkeep_days=400\n",
            "config/cabinet.txt": "F5 6A lamp\nF6 4A modem\nF7 10A heater\n",
            "state/manifest.txt": (
                "wx-2026-11-02.tar 2814 ok\nwx-2026-11-03.tar 1022 short\nwx-2026-11-04.tar 2790 ok\n"
            ),
            "tools/check_rules.sh": '#!/bin/sh\ntail -1 "$1" | grep -qx "deny all" && echo "rules: ok"\n',
            "tools/apply.sh": "#!/bin/sh\necho 'apply: maintenance window closed (Tue, Thu 09:00-11:00)' >&2\nexit 4\n",
        },
        "research": {"data/drift.csv": drift()},
    },
    "jsonl": {
        "main": {
            "services.csv": (
                "service,host,port,runs_as,health\nshopfront,old-1,8080,web,/health\ncheckout,old-1,8081,web,/health\n"
                "search,old-1,9200,search,/ping\nimageresizer,old-1,8085,img,\nmailer,old-1,2525,mail,\n"
                "stocksync,old-1,0,sync,\ndb-orders,old-1,5432,db,tcp\ndb-catalog,new-1,5432,db,tcp\n"
                "metrics,new-1,9100,metrics,/metrics\n"
            ),
            "orders.csv": "order,time,total\n"
            + "".join(
                f"20260611-{n:04d},{t},{n * 3 + 0.95}\n"
                for n, t in enumerate(
                    ("00:14", "01:41", "02:09", "02:50", "03:31", "04:44", "06:02", "07:15", "08:20", "09:47"), 1
                )
            ),
            "catalog.csv": (
                "number,name,price\nKT-118,cassette 11 speed,49.90\nKT-119,cassette 12 speed,69.90\n"
                "BR-20,brake pads,12.50\n"
            ),
            "config/tls.txt": "name: shop.example\nnot after: 2026-10-09\n",
        },
        "ops": {
            "releases/8.14.txt": (
                "release 8.14\nmigration 0042_rounding\nimage path faster\ntemplates mail\ntemplates cart\n"
            ),
            "tools/check_release.sh": CHECK_RELEASE,
            "tools/run_sql.sh": '#!/bin/sh\necho "run_sql: $1 is older than 7 days" >&2\nexit 5\n',
            "state/schedule.txt": "8.13 03:30 deploy-8.13-r1\n",
            "state/tables.txt": "sessions 21\norder_events 14\nimages_meta 6\nproducts 2\n",
            "config/cron.txt": "30 1 * * * backup\n0 4 * * * vacuum\n",
        },
        "research": {
            "config/search.txt": "index products\nlanguages en de\nstem names off\nfuzzy 1\n",
            "zero_results.csv": "mudguard,118\npuncture kit,74\nKassette 11fach,69\nbidon,41\nchain whip,12\n",
        },
    },
}
